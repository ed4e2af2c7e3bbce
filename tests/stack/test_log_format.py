"""Log lines: one each, for people or programs, and no mail address in them."""

import json
import logging
import sys

import pytest

from stack.log_format import FORMATS, formatter, strike_out
from stack.logs import LogFile

SECRETS = ("alice@postriver.test", "누구@bücher.example", '"a b"@x.example', "mid=<1.2@mx.example>")


def record(level: int, message: str, *args: object, error: bool = False) -> logging.LogRecord:
    made = logging.LogRecord("ingress.acceptance", level, "f", 1, message, args, None)
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
    wanted = {"level": "WARNING", "process": "scan", "logger": "ingress.acceptance"}
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
