"""Chunks of one mail (RFC 3030 §2), read within the limits of DATA."""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from smtp.server.connection import SmtpConnection
from smtp.server.data_parser import PIECE_MAX_BYTES, ChunkedMailReader, DataFault
from smtp.server.data_transfer import refusal, reserve
from smtp.server.transfers import Transfer

_ARGUMENT = re.compile(r"([0-9]{1,10})( +LAST)?", re.IGNORECASE | re.ASCII)
_REFUSED_SILENCE_S = 30.0  # within the octets of a refused mail
SYNTAX = "501 5.5.4 syntax: BDAT size [LAST]"


@dataclass(frozen=True, slots=True)
class Chunk:
    """The argument of BDAT."""

    size_bytes: int
    is_last: bool


def parsed_chunk(arg: str | None) -> Chunk | None:
    """The announced chunk; None: bad syntax, so where the next command begins is unknown."""
    match = _ARGUMENT.fullmatch(arg or "")
    return Chunk(int(match[1]), match[2] is not None) if match else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunMail:
    """A mail whose octets are going to be read.

    `prefix` is put before the mail. `accept` returns the reply to the whole mail. `end` releases
    the slot and is safe to repeat.
    """

    transfer: Transfer
    prefix: bytes
    accept: Callable[[bytes], Awaitable[str]]
    end: Callable[[], None]


class ChunkReader:
    """The octets of the chunks of one mail. After a fault the octets are read and dropped.

    `mail`: None, if the mail is refused with `reply`.
    """

    def __init__(self, connection: SmtpConnection, mail: BegunMail | None, reply: str = "") -> None:
        config = connection.site.config
        self.mail = mail
        self._connection = connection
        self._reply = reply
        self._ends_at_s = connection.loop.time() + config.data_total_s
        self._octets = ChunkedMailReader(
            mail.prefix if mail else b"",
            max_bytes=config.message_max_bytes,
            line_max_bytes=config.line_max_bytes,
            received_max=config.received_max,
        )
        if mail is None:
            self._octets.drop(DataFault.BUSY)

    @property
    def fault(self) -> str | None:
        """The reply to this and every further chunk of the mail."""
        fault = self._octets.fault
        if self._reply or fault is None:
            return self._reply or None
        return refusal(fault, self._connection.site.config)

    @property
    def is_cut(self) -> bool:
        """Whether far too much data came, so that the connection should be closed."""
        return self._octets.cut

    def silence_max_s(self) -> float:
        """Seconds for which the client may send nothing, within a chunk and between chunks."""
        silence_s = _REFUSED_SILENCE_S
        if self.mail is not None:
            silence_s = self.mail.transfer.silence_max_s(time.monotonic())
        return max(min(silence_s, self._ends_at_s - self._connection.loop.time()), 0.001)

    def content(self) -> bytes:
        """The mail with its prefix."""
        return self._octets.content()

    async def read(self, chunk: Chunk) -> None:
        """Read the octets of a chunk. Raises EOFError, OSError: the connection was lost."""
        reader, left_bytes = self._connection.reader, chunk.size_bytes
        most_bytes = self._connection.site.config.message_max_bytes
        if self._octets.size_bytes + chunk.size_bytes > most_bytes:
            self._octets.drop(DataFault.TOO_BIG)
        reader.resize(PIECE_MAX_BYTES)
        try:
            while left_bytes and not self.is_cut:
                self._connection.allow(self.silence_max_s())
                piece = await reader.read(min(left_bytes, PIECE_MAX_BYTES))
                if not piece:
                    raise EOFError
                left_bytes -= len(piece)
                self._take(piece)
        finally:
            reader.resize(self._connection.buffer_bytes)
        if chunk.is_last:
            self._octets.finish()

    def _take(self, piece: bytes) -> None:
        self._octets.feed(piece)
        if self.mail is not None:
            self.mail.transfer.add(len(piece), time.monotonic())
            reserve(self._connection.site.transfers, self.mail.transfer, self._octets)

    def end(self) -> None:
        """Release what the mail holds. Safe to repeat."""
        if self.mail is not None:
            self.mail.end()
