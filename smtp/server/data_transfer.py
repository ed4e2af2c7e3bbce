"""One DATA command: from the 354 to the reply after the final dot."""

import time
from collections.abc import Awaitable, Callable

from smtp.server import replies
from smtp.server.config import SmtpConfig
from smtp.server.connection import SmtpConnection
from smtp.server.data_parser import PIECE_MAX_BYTES, DataFault, DataReader, MailReader
from smtp.server.transfers import Transfer, Transfers


class DataTransfer:
    """Reads one mail into memory within all limits, and hands it to `accept`.

    `prefix` is put before the mail. `accept` returns the reply to the final dot.
    """

    def __init__(
        self,
        connection: SmtpConnection,
        transfer: Transfer,
        *,
        prefix: bytes,
        accept: Callable[[bytes], Awaitable[str]],
    ) -> None:
        self._transfer = transfer
        self._connection = connection
        self._site = connection.site
        self._prefix = prefix
        self._accept = accept

    async def run(self) -> None:
        """Read the mail and send the reply. Raises EOFError, OSError: the connection was lost."""
        config = self._site.config
        data = DataReader(
            self._prefix,
            max_bytes=config.message_max_bytes,
            line_max_bytes=config.line_max_bytes,
            received_max=config.received_max,
        )
        await self._connection.push("354 end data with <CR><LF>.<CR><LF>")
        await self._read(data)
        if data.cut:
            await self._connection.hang_up(replies.CUT)
        else:
            await self._connection.push(await self._answer(data))

    async def _read(self, data: DataReader) -> None:
        connection, config = self._connection, self._site.config
        ends_at_s = connection.loop.time() + config.data_total_s
        connection.reader.resize(PIECE_MAX_BYTES)
        try:
            while not (data.ended or data.cut):
                left_s = ends_at_s - connection.loop.time()
                silent_s = self._transfer.silence_max_s(time.monotonic())
                connection.allow(max(min(silent_s, left_s), 0.001))
                chunk = await connection.reader.read(PIECE_MAX_BYTES)
                if not chunk:
                    raise EOFError
                self._transfer.add(len(chunk), time.monotonic())
                data.feed(chunk)
                reserve(self._site.transfers, self._transfer, data)
        finally:
            self._transfer.reading = False
            connection.reader.resize(connection.buffer_bytes)
        connection.reader.unread(data.rest)

    async def _answer(self, data: DataReader) -> str:
        config = self._site.config
        if data.fault is not None:
            return refusal(data.fault, config)
        self._connection.allow(config.accept_max_s + config.command_idle_s)
        self._connection.chatter = 0
        return await self._accept(data.content())


def reserve(transfers: Transfers, transfer: Transfer, mail: MailReader) -> None:
    """Reserve memory for `mail`; release all of it once the bytes are dropped."""
    if not mail.dropped and not transfers.hold(transfer, mail.size_bytes):
        mail.drop(DataFault.BUSY)
    if mail.dropped:
        transfers.hold(transfer, 0)


def refusal(fault: DataFault, config: SmtpConfig) -> str:
    """The reply to a mail with a fault."""
    return {
        DataFault.TOO_BIG: replies.too_big(config.message_max_bytes),
        DataFault.BARE: "554 5.6.0 CR or LF alone in the message (RFC 5321 section 2.3.8)",
        DataFault.LONG_LINE: f"500 5.5.2 a line is longer than {config.line_max_bytes} bytes",
        DataFault.LOOP: f"554 5.4.6 routing loop: more than {config.received_max} Received fields",
        DataFault.BUSY: replies.BUSY,
    }[fault]
