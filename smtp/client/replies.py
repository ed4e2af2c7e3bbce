"""Replies of a peer (RFC 5321 §4.2): read within bounds, and what they say about a recipient."""

import asyncio
import re
from dataclasses import dataclass

from edge.line_reader import LineReader
from mail.ports.mail_transport import REPLY_TEXT_MAX_BYTES, OutcomeKind, Phase
from mail.text_cleaning import one_line

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\r\n]*))?\r?\n")
_CODE = re.compile(rb"[2-5][0-9]{2}")
_STATUS = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: its code, and the text of its lines."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """All lines as one printable line of at most REPLY_TEXT_MAX_BYTES."""
        return bounded_text(" ".join(self.lines))

    @property
    def is_positive(self) -> bool:
        """Whether the command was done (2yz)."""
        return self.code // 100 == 2

    @property
    def status(self) -> str:
        """The enhanced status code of the first line (RFC 2034), or x.0.0 if it does not fit."""
        match = _STATUS.match(self.lines[0])
        if match and match[1][0] == str(self.code)[0]:
            return match[1]
        return f"{self.code // 100}.0.0"


class HostFault(Exception):
    """The dialogue with one host cannot go on; what that means for the recipients.

    `code` is 0 if no reply says so, and 2yz if a positive reply exceeded the limits.
    """

    def __init__(self, phase: Phase, status: str, text: str, *, code: int = 0) -> None:
        super().__init__(text)
        self.phase = phase
        self.status = status
        self.text = bounded_text(text)
        self.code = code


class BadReply(Exception):
    """Octets that are no reply, or a reply beyond the limits; `code`: that of its beginning."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


def bounded_text(text: str) -> str:
    """One printable line of at most REPLY_TEXT_MAX_BYTES of UTF-8."""
    line = one_line(text, limit=REPLY_TEXT_MAX_BYTES)
    return line.encode()[:REPLY_TEXT_MAX_BYTES].decode(errors="ignore")


def kind_of(status: str) -> OutcomeKind:
    """The outcome that the class of an enhanced status code says (RFC 3463 §3.1)."""
    return {"2": "relayed", "4": "deferred"}.get(status[0], "failed")  # type: ignore[return-value]


async def read_reply(reader: LineReader, *, reply_max_bytes: int) -> Reply:
    """Return the next reply; a line has at most the limit of the reader.

    A line may end with LF alone. Raises BadReply; EOFError: the connection has ended.
    """
    code, lines, size_bytes = 0, [], 0
    while True:
        line = await _line(reader)
        size_bytes += len(line)
        match = _LINE.fullmatch(line)
        if match is None or (code and int(match[1]) != code):
            raise BadReply("the answer is no SMTP reply")
        if size_bytes > reply_max_bytes:
            raise BadReply("the reply is too long", code)
        code = int(match[1])
        lines.append((match[3] or b"").decode(errors="replace"))
        if match[2] != b"-":
            return Reply(code, tuple(lines))


async def _line(reader: LineReader) -> bytes:
    try:
        return await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        head = await reader.readexactly(3)
    raise BadReply("a line of the reply is too long", int(head) if _CODE.fullmatch(head) else 0)
