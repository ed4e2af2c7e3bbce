"""DATA (RFC 5321 §4.1.1.4) and BDAT (RFC 3030): the commands that carry a mail."""

import asyncio
from abc import abstractmethod

from smtp.server import replies
from smtp.server.chunks import SYNTAX, BegunMail, Chunk, ChunkReader, parsed_chunk
from smtp.server.common_commands import COMMON_VERBS, CommonCommands, syntax
from smtp.server.data_transfer import DataTransfer
from smtp.server.replies import Rejection

SMALL_CHUNK_BYTES = (
    1024  # a smaller chunk counts as a command without effect, unless it is the last
)


class ContentTransaction:
    """A mail transaction (aiosmtpd: envelope), created again after each mail and RSET."""

    __slots__ = ("any_recipient", "chunks", "reverse_path")

    def __init__(self) -> None:
        self.reverse_path: str | None = None  # None: no MAIL yet
        self.any_recipient = False  # a RCPT came, accepted or not
        self.chunks: ChunkReader | None = None  # after the first BDAT

    def end(self) -> None:
        """Release what a mail in chunks holds. Safe to repeat."""
        if self.chunks is not None:
            self.chunks.end()


class ContentCommands(CommonCommands):
    """The commands; a server says how a mail begins and which transactions it has."""

    envelope: ContentTransaction
    _transaction: ContentTransaction | None = None  # the same as `envelope`, once there is one

    @abstractmethod
    async def begin_mail(self) -> BegunMail:
        """Check the transaction and take a slot for its mail. Raises Rejection."""

    def _set_post_data_state(self) -> None:
        """Begin a new transaction."""
        if self._transaction is not None:
            self._transaction.end()
        super()._set_post_data_state()
        self._transaction = self.envelope

    def _release(self, task: "asyncio.Task[None]") -> None:
        self.envelope.end()
        super()._release(task)

    def idle_max_s(self) -> float:
        """As for other commands; between chunks no longer than within a chunk."""
        chunks = self.envelope.chunks if self._transaction is not None else None
        idle_s = super().idle_max_s()
        return min(idle_s, chunks.silence_max_s()) if chunks is not None else idle_s

    @syntax("DATA")
    async def data(self, arg: str | None) -> None:
        if await self.check_helo_needed():
            return
        if arg is not None:
            raise Rejection("501 5.5.4 syntax: DATA")
        if self.envelope.chunks is not None:
            raise Rejection(replies.BAD_SEQUENCE)
        mail = await self.begin_mail()
        self._set_post_data_state()
        self.in_data = True
        try:
            await DataTransfer(self, mail.transfer, prefix=mail.prefix, accept=mail.accept).run()
        finally:
            self.in_data = False
            mail.end()

    @syntax("BDAT size [LAST]")
    async def bdat(self, arg: str | None) -> None:
        """Read a chunk. The octets of a refused chunk are read and dropped (RFC 3030 §2)."""
        chunk = parsed_chunk(arg)
        if chunk is None:
            await self.push(SYNTAX)
            await self.hang_up(replies.BROKEN_CHUNK)
            return
        chunks = await self._chunks()
        self.in_data = True
        try:
            await chunks.read(chunk)
            await self._after_chunk(chunk, chunks)
        finally:
            self.in_data = False

    async def _chunks(self) -> ChunkReader:
        """The reader of the transaction's chunks; with a fault if the mail is refused.

        A fault stays until the last chunk or RSET: else the rest of a mail would be sent alone.
        """
        transaction = self.envelope
        if transaction.chunks is not None:
            return transaction.chunks
        try:
            chunks = ChunkReader(self, await self.begin_mail())
        except Rejection as rejection:
            chunks = ChunkReader(self, None, rejection.reply)
        if transaction.reverse_path is not None:
            transaction.chunks = chunks
        return chunks

    async def _after_chunk(self, chunk: Chunk, chunks: ChunkReader) -> None:
        if chunks.is_cut:
            await self.hang_up(replies.CUT)
        elif chunks.fault is not None or chunks.mail is None:
            fault = chunks.fault or replies.BAD_SEQUENCE
            if chunk.is_last:
                self._set_post_data_state()
            raise Rejection(fault)
        elif not chunk.is_last:
            self.chatter += chunk.size_bytes < SMALL_CHUNK_BYTES
            await self.push(f"250 2.0.0 {chunk.size_bytes} octets received")
        else:
            self.chatter = 0
            self.allow(self.site.config.accept_max_s + self.site.config.command_idle_s)
            chunks.mail.transfer.reading = False
            reply = await chunks.mail.accept(chunks.content())
            self._set_post_data_state()
            await self.push(reply)


CONTENT_VERBS = COMMON_VERBS | {"DATA": ContentCommands.data, "BDAT": ContentCommands.bdat}
