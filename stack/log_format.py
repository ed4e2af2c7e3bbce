"""How a log line looks: for people or for programs, one line each, and no mail address in it.

What a client sent may stand in a message: control letters are escaped, so that nobody writes a line
of his own. Addresses are struck out above DEBUG whoever wrote the message, tracebacks included:
an exception that nobody expected quotes what it failed at.
"""

import json
import logging
import re
import time

FORMATS = ("text", "json")
_LOCAL = r"(?:\"(?:[^\"\\\n]|\\.)*\"|[^\s<>()\[\]\"',:;=|@]+)"
_ADDRESS = re.compile(_LOCAL + r"@(?:[^\W_]|-)+(?:\.(?:[^\W_]|-)+)+")
_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(32), 127, *range(128, 160), 0x2028, 0x2029)}


def formatter(kind: str, process: str) -> logging.Formatter:
    """`kind` is one of FORMATS; `process` stands in each line that is for programs."""
    return _Json(process) if kind == "json" else _Text()


def strike_out(line: bytes) -> bytes:
    """Lines of an engine's own, which says more than it should, without mail addresses."""
    return _ADDRESS.sub("(address)", line.decode(errors="replace")).encode()


def _discreet(record: logging.LogRecord, text: str) -> str:
    if "@" not in text or record.levelno <= logging.DEBUG:
        return text
    return _ADDRESS.sub("(address)", text)


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        record.message = record.message.translate(_ESCAPES)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return _discreet(record, super().format(record))


class _Json(logging.Formatter):
    """One object a line: at (RFC 3339, UTC), level, process, logger, message, error."""

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
