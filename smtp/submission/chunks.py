"""BDAT (RFC 3030): the chunks of one mail, read within the limits of DATA."""

import re
import time
from dataclasses import dataclass

from smtp.server import replies as common_replies
from smtp.server.connection import SmtpConnection
from smtp.server.data_parser import PIECE_MAX_BYTES
from smtp.server.replies import Rejection
from smtp.server.transfers import Transfer

_ARGUMENT = re.compile(r"([0-9]{1,10})( +LAST)?", re.IGNORECASE | re.ASCII)
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


class ChunkReader:
    """The octets of the chunks of one mail. After a fault the octets are read and dropped."""

    def __init__(self, connection: SmtpConnection) -> None:
        self._connection = connection
        self._octets = bytearray()
        self._wire_bytes = 0
        self.fault: str | None = None  # the reply to every further chunk of the mail
        self.is_cut = False  # far too much data: the connection should be closed

    def octets(self) -> bytes:
        """The mail so far."""
        return bytes(self._octets)

    async def read(self, chunk: Chunk, transfer: Transfer | None) -> None:
        """Read the octets of a chunk; without `transfer` drop them. Raises EOFError, OSError.

        Sets `fault` if the mail is too large or there is no memory.
        """
        connection = self._connection
        config = connection.site.config
        ends_at_s = connection.loop.time() + config.data_total_s
        left_bytes = chunk.size_bytes
        self._check_size(chunk.size_bytes)
        connection.reader.resize(PIECE_MAX_BYTES)
        try:
            while left_bytes and not self.is_cut:
                silent_s = transfer.silence_max_s(time.monotonic()) if transfer else 30.0
                connection.allow(max(min(silent_s, ends_at_s - connection.loop.time()), 0.001))
                piece = await connection.reader.read(min(left_bytes, PIECE_MAX_BYTES))
                if not piece:
                    raise EOFError
                left_bytes -= len(piece)
                self._add(piece, transfer)
        finally:
            connection.reader.resize(connection.buffer_bytes)

    def _check_size(self, size_bytes: int) -> None:
        most = self._connection.site.config.message_max_bytes
        if self.fault is None and len(self._octets) + size_bytes > most:
            self.drop(common_replies.too_big(most))

    def _add(self, piece: bytes, transfer: Transfer | None) -> None:
        self._wire_bytes += len(piece)
        self.is_cut = self._wire_bytes > 2 * self._connection.site.config.message_max_bytes
        if transfer is None or self.fault is not None:
            return
        transfer.add(len(piece), time.monotonic())
        size_bytes = len(self._octets) + len(piece)
        if not self._connection.site.transfers.hold(transfer, size_bytes):
            self.drop(common_replies.BUSY)
            self._connection.site.transfers.hold(transfer, 0)
            return
        self._octets += piece

    def drop(self, fault: str) -> None:
        """Record the reply to this and all further chunks, and drop the octets."""
        self.fault = fault
        self._octets = bytearray()

    def check(self) -> None:
        """Raise Rejection: the mail has a fault."""
        if self.fault is not None:
            raise Rejection(self.fault)
