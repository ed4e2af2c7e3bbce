"""Log lines: one each, for people or programs, and no mail address in them."""

import json
import logging
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.log_format import ENGINE_LINE_MAX_BYTES, FORMATS, formatter, strike_out
from stack.logs import LogFile

SECRETS = ("alice@postriver.test", "누구@bücher.example", '"a b"@x.example', "mid=<1.2@mx.example>")


def record(level: int, message: str, *args: object, error: bool = False) -> logging.LogRecord:
    made = logging.LogRecord("smtp.server.acceptance", level, "f", 1, message, args, None)
    if error:
        try:
            {}[args[0] if args else ""]
        except KeyError:
            made.exc_info = sys.exc_info()
    return made


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("secret", SECRETS)
def test_no_address_above_debug_even_in_what_nobody_expected(kind: str, secret: str) -> None:
    domain = secret.rpartition("@")[2].rstrip(">")
    line = formatter(kind, "ingress").format(record(logging.ERROR, "no %s", secret, error=True))
    assert domain not in line
    assert "KeyError" in line
    assert domain in formatter(kind, "ingress").format(record(logging.DEBUG, "no %s", secret))


def test_for_programs_each_line_is_one_object() -> None:
    text = formatter("json", "scan").format(
        record(logging.WARNING, 'a "b"\nc\u2028 한', error=True)
    )
    assert text.splitlines() == [text]
    line = json.loads(text)
    assert line["at"].endswith("Z")
    wanted = {"level": "WARNING", "process": "scan", "logger": "smtp.server.acceptance"}
    assert wanted.items() <= line.items()
    assert line["message"].startswith('a "b"\nc')
    assert line["message"].endswith(" 한")


def test_for_people_nobody_writes_a_line_of_his_own() -> None:
    text = formatter("text", "x").format(
        record(logging.INFO, "helo %s", "x\r\n2026 ERROR all lost")
    )
    assert text.splitlines() == [text]
    assert "\\u000d\\u000a2026" in text


def test_an_engines_lines_are_struck_out(tmp_path) -> None:
    file = LogFile(tmp_path / "spamd.log", edit=strike_out)
    file.feed(b"spamd: result: . -1 mid=<abc@sender.exam")
    file.feed(b"ple>,autolearn=ham\n\xff broken\n")
    file.close()
    written = (tmp_path / "spamd.log").read_text()
    assert "sender" not in written
    assert "autolearn=ham" in written


@pytest.mark.parametrize("letter", ["a", '"', '"\\', "@", "a@", "a.", '"a'])
def test_striking_out_takes_time_linear_in_the_text(letter: str) -> None:
    def cpu_s(size: int) -> float:
        text = "x@y.example " + letter * (size // len(letter))
        began = time.process_time()
        formatter("text", "x").format(record(logging.ERROR, "%s", text))
        return time.process_time() - began

    assert cpu_s(1_000_000) < 200 * max(cpu_s(20_000), 0.001)  # quadratic: 2,500 times


def test_a_long_line_of_an_engine_is_cut_before_it_is_edited() -> None:
    for word in (b"a", b"a@", b"a ", b'"\\'):
        line = b"spamd: checking message <" + word * 30_000 + b"> alice@postriver.test\n"
        written = strike_out(line * 2)
        assert written.count(b" (cut)\n") == 2
        assert max(map(len, written.splitlines())) < ENGINE_LINE_MAX_BYTES + 1


@given(st.text(alphabet='a.@" \\\n<é-', max_size=60), st.integers(0, ENGINE_LINE_MAX_BYTES))
def test_no_part_of_an_address_is_left_where_a_line_is_cut(before: str, at: int) -> None:
    line = before.encode() + b" " * at + b" alice@postriver.test " + b"x" * ENGINE_LINE_MAX_BYTES
    assert b"alice" not in strike_out(line + b"\n").replace(b"alic ", b"")
    assert b"postriver" not in strike_out(line + b"\n")


def test_a_traceback_holds_no_control_character_and_no_line_like_a_record() -> None:
    error = ValueError("a\r\n2026-01-01 00:00:00,000 ERROR fake\x1b[1m\0\u2028 \tb")
    made = logging.LogRecord("x", logging.ERROR, "f", 1, "m", (), (ValueError, error, None))
    head, *lines = formatter("text", "x").format(made).split("\n")
    assert head.endswith("ERROR x m")
    assert all(line.startswith("  ") for line in lines)
    text = "\n".join(lines)
    assert not {"\r", "\x1b", "\0", "\u2028"} & set(text)
    assert "\\u001b[1m\\u0000\\u2028 \tb" in text
