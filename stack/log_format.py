"""Log line formats, text and JSON: one record a line, without mail addresses.

Messages may quote text of a client: control characters are escaped, in tracebacks too, so a client
cannot forge a log line. Lines of a traceback are indented, so they do not look like records.
Addresses are removed above DEBUG from messages and tracebacks, since an unexpected exception quotes
its input. The time to remove them is linear in the length of the text.
"""

import json
import logging
import re
import textwrap
import time
from typing import Any

FORMATS = ("text", "json")
ENGINE_LINE_MAX_BYTES = 4096  # per line of an engine's log; the rest is cut off
_CUT = b" (cut)"
_DOMAIN = r"@(?:[^\W_]|-)++(?:\.(?:[^\W_]|-)++)++"
_QUOTED = r"\"(?:[^\"\\\n]|\\.){0,64}+\""  # RFC 5321 §4.5.3.1.1: a local part has at most 64 octets
# A run of characters is consumed with or without an address, so each character is read once.
_WORD = re.compile(rf"(?:{_QUOTED}|[^\s<>()\[\]\"',:;=|@]++){_DOMAIN}|[^\s<>()\[\]\"',:;=|@]++")
_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(32), 127, *range(128, 160), 0x2028, 0x2029)}
_ESCAPES_BUT_LINES = {code: text for code, text in _ESCAPES.items() if chr(code) not in "\t\n"}


def formatter(kind: str, process: str) -> logging.Formatter:
    """Return the formatter of `kind`, one of FORMATS; JSON lines carry `process`."""
    return _Json(process) if kind == "json" else _Text()


def strike_out(lines: bytes) -> bytes:
    """Return an engine's lines without mail addresses, each cut to ENGINE_LINE_MAX_BYTES."""
    return b"".join(_strike_out_line(line) for line in lines.splitlines(keepends=True))


def _strike_out_line(line: bytes) -> bytes:
    if len(line) > ENGINE_LINE_MAX_BYTES:
        line = _cut(line)
    text = line.decode(errors="replace")
    return (_without_addresses(text) if "@" in text else text).encode()


def _cut(line: bytes) -> bytes:
    """Return the beginning of a long line, without a last word that may be half an address."""
    kept = line[: ENGINE_LINE_MAX_BYTES - len(_CUT) - 1]
    before, space, word = kept.rpartition(b" ")
    return (before + space if b"@" in word else kept) + _CUT + b"\n"


def _without_addresses(text: str) -> str:
    return _WORD.sub(lambda word: "(address)" if "@" in word[0] else word[0], text)


def _discreet(record: logging.LogRecord, text: str) -> str:
    if "@" not in text or record.levelno <= logging.DEBUG:
        return text
    return _without_addresses(text)


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        record.message = record.message.translate(_ESCAPES)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802  logging's name
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  logging's name
        return _indented(super().formatStack(stack_info))

    def format(self, record: logging.LogRecord) -> str:
        return _discreet(record, super().format(record))


def _indented(text: str) -> str:
    return textwrap.indent(text.translate(_ESCAPES_BUT_LINES), "  ")


class _Json(logging.Formatter):
    """Format a record as an object: at (RFC 3339, UTC), level, process, logger, message, error."""

    def __init__(self, process: str) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": f"{self.formatTime(record, self.datefmt)}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": _discreet(record, record.getMessage()),
        }
        if record.exc_info:
            line["error"] = _discreet(record, self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False).translate(_ESCAPES)
