"""Syntax of command lines, MAIL and RCPT (RFC 5321 §4.1.1.2, §4.1.1.3); pure.

Every function raises Rejection with the reply to the client.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from smtp.server import replies
from smtp.server.replies import Rejection

_LINE_MAX_BYTES = 512  # RFC 5321 §4.5.3.1.4, with its CRLF
LINE_EXTRA_BYTES: Mapping[str, int] = {  # SIZE, BODY, SMTPUTF8, AUTH (their RFCs)
    "MAIL": 26 + 17 + 10 + 500,
    "RCPT": 10,
}
_REVERSE_PATH_MAX_BYTES = 512  # RFC 5321 §4.5.3.1.3 asks for 256
_GREETINGS = frozenset({b"EHLO", b"HELO"})
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# A path in angle brackets, whose quoted local-part may hold any of the delimiters; then parameters.
_PATH = re.compile(r'<((?:[^<>"\\ ]|"(?:[^"\\]|\\.)*")*)>(?: +(.*))?\Z')
_NAKED_PATH = re.compile(r'([^<>"\\ ]+)(?: +(.*))?\Z')
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^= \x7f]+))?\Z")
_MAILBOX = re.compile(
    r'(?:[^ "(),:;<>@\[\\\]]+|"(?:[^"\\]|\\.)*")'  # Dot-string or Quoted-string
    r'@(?:[^ "(),:;<>@\[\\\]]{1,255}|\[[^ \[\]\\]{1,255}\])\Z'  # Domain or address-literal
)
_SIZE_MAX_DIGITS = 20  # RFC 1870 §4


@dataclass(frozen=True, slots=True, kw_only=True)
class MailParameters:
    """Parameters of MAIL. BODY has no effect: 8-bit data is accepted with or without it."""

    size_bytes: int | None = None
    utf8: bool = False  # SMTPUTF8 (RFC 6531)


def split_line(
    line: bytes | None, extra_bytes: Mapping[str, int] = LINE_EXTRA_BYTES
) -> tuple[str, str | None]:
    """The upper-case verb and the argument of `line`, which includes its line end.

    `line` is None when it was longer than the read buffer. `extra_bytes`: what extensions add to
    the length of a verb's line.
    """
    if line is None:
        raise Rejection(replies.LINE_TOO_LONG)
    try:
        # The name in a greeting has no effect, so octets that are not UTF-8 are accepted there.
        text = line.decode(errors="replace" if line[:4].upper() in _GREETINGS else "strict")
    except UnicodeDecodeError:
        raise Rejection(replies.BAD_LINE) from None
    if not text.endswith("\r\n") or _CONTROL.search(text, 0, len(text) - 2):
        raise Rejection(replies.BAD_LINE)
    verb, _, arg = text[:-2].partition(" ")
    verb = verb.upper()
    if len(line) > _LINE_MAX_BYTES + extra_bytes.get(verb, 0):
        raise Rejection(replies.LINE_TOO_LONG)
    return verb, arg.strip(" ") or None


def split_path(arg: str | None, keyword: str) -> tuple[str, dict[str, str | None]]:
    """The path without brackets and source route, and the parameters by upper-case name.

    `keyword`: FROM: or TO:. A space after the colon and missing brackets are accepted, as other
    servers do.
    """
    syntax = Rejection(f"501 5.5.4 syntax: {keyword}<address> [parameters]")
    if arg is None or arg[: len(keyword)].upper() != keyword:
        raise syntax
    rest = arg[len(keyword) :].strip(" ")
    match = _PATH.match(rest) or _NAKED_PATH.match(rest)
    if match is None:
        raise syntax
    path, parameters = match.groups()
    if path.startswith("@"):
        path = path.partition(":")[2] or "@"  # source routes are ignored (RFC 5321 appendix C)
    return path, _parameters(parameters) if parameters else {}


def _parameters(text: str) -> dict[str, str | None]:
    parameters: dict[str, str | None] = {}
    for word in text.split():
        parameter = _PARAMETER.match(word)
        if parameter is None or parameter[1].upper() in parameters:
            raise Rejection("501 5.5.4 bad or repeated parameter")
        parameters[parameter[1].upper()] = parameter[2]
    return parameters


def mail_parameters(given: dict[str, str | None]) -> MailParameters:
    """SIZE (RFC 1870), BODY (RFC 6152) and SMTPUTF8 (RFC 6531) as values; others are rejected.

    AUTH=<> and AUTH=xtext (RFC 4954 §5) are accepted and ignored: many servers send them to every
    server. RET and ENVID are refused (RFC 5321 §4.1.1.11), so that a sender that requests a DSN
    learns that no DSN will come (RFC 3461 §5.2.2).
    """
    if not given:
        return _NO_PARAMETERS
    if given.keys() - {"SIZE", "BODY", "SMTPUTF8", "AUTH"}:
        raise Rejection(replies.UNKNOWN_PARAMETER)
    if "AUTH" in given and not given["AUTH"]:
        raise Rejection("501 5.5.4 syntax: AUTH=<> or AUTH=xtext")
    if "BODY" in given and (given["BODY"] or "").upper() not in {"7BIT", "8BITMIME"}:
        raise Rejection("501 5.5.4 BODY is 7BIT or 8BITMIME")
    if given.get("SMTPUTF8") is not None:
        raise Rejection("501 5.5.4 SMTPUTF8 takes no value")
    size_bytes = _size(given["SIZE"]) if "SIZE" in given else None
    return MailParameters(size_bytes=size_bytes, utf8="SMTPUTF8" in given)


def _size(value: str | None) -> int:
    digits = value or ""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _SIZE_MAX_DIGITS):
        raise Rejection("501 5.5.4 SIZE is a number of bytes")
    return int(digits)


def check_reverse_path(path: str, *, utf8: bool) -> None:
    """Raise Rejection unless `path` is the null reverse-path or local-part@domain."""
    if len(path.encode()) > _REVERSE_PATH_MAX_BYTES or (path and not _MAILBOX.match(path)):
        raise Rejection(replies.BAD_SENDER)
    check_charset(path, utf8=utf8)


def check_charset(path: str, *, utf8: bool) -> None:
    """Raise Rejection for a non-ASCII `path` without SMTPUTF8 (RFC 6531 §3.5)."""
    if not utf8 and not path.isascii():
        raise Rejection(replies.NEEDS_SMTPUTF8)


def path_key(path: str) -> str:
    """A key that is equal for all spellings of a forward-path: the domain in lower case."""
    local, at, domain = path.rpartition("@")
    return f"{local}{at}{domain.lower().removesuffix('.')}"


_NO_PARAMETERS = MailParameters()
