"""Parsers of untrusted input take time linear in its length.

All regular expressions that are globals of modules are found automatically, and run on repetitions
of their own characters. Functions are listed in READERS: add new parsers there. The tests are fast
while work is linear: only times above the noise are measured at three sizes.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from api.http.client_address import _FORWARDED_MAX_CHARS
from api.http.compression import accepts_gzip
from mail.composing import header_fields
from mail.composing.address_input import parse_address
from mail.composing.body_parts import text_part
from mail.composing.draft_field import draft_state
from mail.composing.written_fields import written_fields
from mail.html import sanitizer, text_extraction
from mail.mime import charsets, encoded_words, format_flowed, parameters, transfer_encoding
from mail.mime.address_list_parser import parse_address_list
from mail.mime.header_fields import Header, read_header
from mail.mime.message_parser import read_head, read_mail
from mail.mime.outline.builder import outline_of
from mail.query import tokenizer
from mail.query.parser import parse as parse_query
from mail.query.tree import QueryContext
from smtp.server.command_syntax import split_line, split_path
from stack.log_format import strike_out
from tests.support.regex_inputs import ModulePattern, patterns, pumps
from tests.support.work_growth import NOISE_S, assert_linear, cpu_s

PACKAGES = (
    "schemas",
    "mail",
    "edge",
    "scanners",
    "parsing",
    "resolving",
    "stores",
    "streams",
    "agents",
    "pop3",
    "smtp",
    "operations",
    "api",
    "stack",
)
CHARS = 4_000
# Patterns that are not linear; their callers limit the input to this length.
INPUT_MAX_CHARS = {
    "api.http.client_address._ELEMENTS": _FORWARDED_MAX_CHARS,
    "api.http.client_address._PAIRS": _FORWARDED_MAX_CHARS,
}
CUT_INPUT_MAX_S = 0.5
PATTERNS = patterns(*PACKAGES)


def test_patterns_are_found() -> None:
    names = {named.name for named in PATTERNS}
    assert {
        "mail.mime.header_fields._FIELD",
        "mail.mime.parameters._PIECE",
        "mail.query.tokenizer._WORD",
    } - names == set()
    assert set(INPUT_MAX_CHARS) <= names


@pytest.mark.parametrize("named", PATTERNS, ids=lambda named: named.name)
def test_a_pattern_takes_linear_time(named: ModulePattern) -> None:
    for start, pump, end in pumps(named.pattern):
        make = partial(_make_input, named.pattern, start, pump, end)
        for method in named.methods:
            work = partial(_run, named.pattern, method)
            if named.name not in INPUT_MAX_CHARS:
                _check(make, work, CHARS)
                continue
            longest = make(INPUT_MAX_CHARS[named.name])
            assert cpu_s(partial(work, longest), runs=1) < CUT_INPUT_MAX_S


def _make_input(
    pattern: re.Pattern[Any], start: str, pump: str, end: str, chars: int
) -> str | bytes:
    text = start + pump * (chars // len(pump)) + end
    return text if isinstance(pattern.pattern, str) else text.encode("latin-1", "replace")


def _run(pattern: re.Pattern[Any], method: str, text: Any) -> None:
    if method in {"sub", "subn"}:
        pattern.sub(text[:0], text)
    elif method == "finditer":
        for _ in pattern.finditer(text):
            pass
    else:
        getattr(pattern, method)(text)


def _check(make: Callable[[int], Any], work: Callable[[Any], object], longest: int) -> None:
    """Measure small sizes first, so that exponential work fails early."""
    for size in (longest // 100, longest // 10, longest):
        if cpu_s(partial(work, make(size)), runs=1) > NOISE_S:
            assert_linear(make, work, (size, 2 * size, 4 * size))
            return


CONTEXT = QueryContext(now_ms=1_700_000_000_000)
TOKENS = (
    "a", " ", "\t", "\n", "\r\n", ":", ";", ",", "=", '"', "\\", '\\"', "'", "(", ")", "()", "<",
    ">", "<>", "@", "a@", "a, ", "<a@b>,", "?", "=?", "?=", "=?a?q?", "=?a?q?b?=",
    "=?a?B?YQ?= ", "a=b;", ";a*0*=b", "*", "%", "&", "&#0;", "<a ", "</a>", "<!--", "-->", "<!-",
    "<script>", "</", "<p a='", "--x\r\n", "--", "a: b\r\n", "junk\r\n", " a\n", "From x\n",
    "begin 644 a\n", "M\n", "===", "YQ==", "A=", "=\n", "=41", ">", ">> ", "가", "é", "\x1b$B",
    "\x1b(I", "OR ", "-", "in:", "from:(", "a* ", "<meta charset", "<?xml encoding", "é\x80",
    "q=0.5,", "gzip;",
)  # fmt: skip


def octets(read: Callable[[bytes], object]) -> Callable[[str], object]:
    return lambda text: read(text.encode("utf-8", "surrogatepass"))


def field(name: str) -> Callable[[str], object]:
    return octets(lambda value: read_head(name.encode() + b": " + value + b"\r\n\r\nx"))


def outlined_field(name: str) -> Callable[[str], object]:
    return octets(lambda value: outline_of(name.encode() + b": " + value + b"\r\n\r\nx"))


def of_type(
    content_type: str, *more: str, read: Callable[[bytes], object] = read_mail
) -> Callable[[str], object]:
    head = "".join(f"{line}\r\n" for line in (f"Content-Type: {content_type}", *more)) + "\r\n"
    return octets(lambda value: read(head.encode() + value))


READERS: dict[str, Callable[[str], object]] = {
    "header": octets(read_header),
    "encoded words": octets(encoded_words.decode_field),
    "address list": octets(lambda value: parse_address_list([value])),
    "parameters": parameters.parse_parameterized_field.__wrapped__,
    "ids": octets(
        lambda value: Header([("references", value)], 0, complete=True).ids("references")
    ),
    "date": field("Date"),
    "disposition": field("Content-Disposition"),
    "multipart": of_type("multipart/mixed; boundary=x"),
    "multipart, wholly encoded": of_type(
        "multipart/mixed; boundary=x", "Content-Transfer-Encoding: base64"
    ),
    "outline": octets(outline_of),
    "outline of a multipart": of_type("multipart/mixed; boundary=x", read=outline_of),
    "outline of a digest": of_type("multipart/digest; boundary=x", read=outline_of),
    "outline of an attached mail": of_type("message/rfc822", read=outline_of),
    "outline of parameters": outlined_field("Content-Type"),
    "outline of a disposition": outlined_field("Content-Disposition"),
    "outline of addresses": outlined_field("To"),
    "text": of_type("text/plain"),
    "flowed text": of_type("text/plain; format=flowed; delsp=yes"),
    "page": of_type("text/html"),
    "base64": octets(transfer_encoding.lenient_base64),
    "text as base64": of_type("text/plain", "Content-Transfer-Encoding: base64"),
    "uuencoded": of_type("a/b; name=x", "Content-Transfer-Encoding: x-uuencode"),
    "quoted-printable": of_type("text/plain", "Content-Transfer-Encoding: quoted-printable"),
    "meta": octets(charsets.meta_charset),
    "guess": octets(charsets.guess_text),
    "to_text": text_extraction.to_text,
    "sanitise": sanitizer.sanitise,
    "sanitise_outgoing": lambda text: sanitizer.sanitise_outgoing(text, {"a": "a@b"}),
    "address as written": lambda text: _ignoring_errors(lambda: parse_address(text)),
    "fields of a draft": octets(written_fields),
    "state of a draft": octets(lambda value: draft_state([value])),
    "subject as written": lambda text: header_fields.encoded_words(
        text.encode("utf-8", "replace").decode()
    ),
    "text as written": lambda text: text_part(text.encode("utf-8", "replace").decode(), "plain"),
    "unflow": lambda text: format_flowed.unflow(text, delete_space=True),
    "tokens of search": tokenizer.tokens,
    "query": lambda text: _ignoring_errors(lambda: parse_query(text, CONTEXT)),
    "log line": octets(strike_out),
    "accept-encoding": accepts_gzip,
    "smtp command": octets(lambda value: _ignoring_errors(lambda: split_line(value))),
    "smtp path": lambda text: _ignoring_errors(lambda: split_path("FROM:<" + text, "FROM")),
    **{
        f"charset {label}": octets(partial(charsets.decode_text, label=label))
        for label in ("utf-8", "utf-7", "iso-2022-jp", "euc-jp", "euc-kr", "gbk", "hz", "cp1252")
    },
}
READER_CHARS = 4_000
# Known not to be linear.
NOT_LINEAR: frozenset[str] = frozenset()


def _ignoring_errors(read: Callable[[], object]) -> None:
    """Run a parser; an error is a valid result, except running out of stack or memory."""
    try:
        read()
    except Exception as error:  # noqa: BLE001
        assert not isinstance(error, RecursionError | MemoryError)  # noqa: PT017


def drivers() -> Iterator[tuple[str, str, str]]:
    for token in TOKENS:
        yield "", token, ""
        yield '<a b="' if token == "'" else '"', token, "\x00"
    for token, other in zip(TOKENS, TOKENS[7:], strict=False):
        yield token, token + other, "x"


@pytest.mark.parametrize("name", [name for name in READERS if name not in NOT_LINEAR])
def test_a_reader_takes_linear_time(name: str) -> None:
    for start, pump, end in drivers():
        make = partial(_repeated, start, pump, end)
        _check(make, READERS[name], READER_CHARS)


def _repeated(start: str, pump: str, end: str, chars: int) -> str:
    return start + pump * (chars // len(pump)) + end


def test_quadratic_work_is_noticed() -> None:
    pattern = re.compile(r"\s*x\s*\Z")
    with pytest.raises(AssertionError, match="work grows"):
        _check(lambda chars: " " * chars, pattern.search, 2_500)
