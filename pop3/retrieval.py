"""Send one message at the pace of its reader; memory holds a piece or two of it."""

import asyncio
import logging

from mail.dot_stuffing import DotStuffing
from mail.errors import ContentMissing, Transient
from pop3 import replies
from pop3.connection import Pop3Connection
from pop3.replies import Pop3Refusal
from pop3.wire_format import LineEnds, TopCut
from schemas.content import Stored
from schemas.ids import MessageId, UserId

log = logging.getLogger(__name__)


class Retrieval:
    """RETR and TOP of one session."""

    def __init__(self, connection: Pop3Connection, user_id: UserId) -> None:
        self._connection = connection
        self._ports = connection.site.ports
        self._stats = connection.site.stats
        self._piece_bytes = connection.site.config.piece_bytes
        self._user_id = user_id

    async def send(self, message_id: MessageId, body_lines: int | None) -> None:
        """Send the message; header and `body_lines` lines of the body, None: all of it.

        Raises Pop3Refusal: the message is gone, or cannot be read now. Raises OSError: the
        connection was lost, or the content could not be read to its end.
        """
        try:
            content = await self._content(message_id)
            piece = await self._piece(content, 0)
        except ContentMissing:
            raise Pop3Refusal(replies.GONE) from None
        except Transient:
            raise Pop3Refusal(replies.UNAVAILABLE) from None
        size = f"{content.size_bytes} octets" if body_lines is None else "top of message follows"
        await self._connection.reply(f"+OK {size}")
        try:
            await self._stream(content, piece, None if body_lines is None else TopCut(body_lines))
        except (ContentMissing, Transient) as error:
            log.warning("a message was not sent to its end: %s", error)
            self._connection.abort()
            raise ConnectionAbortedError from error
        self._stats.sent_messages_total += 1

    async def _content(self, message_id: MessageId) -> Stored:
        """Where the content is. Raises Pop3Refusal: another session has deleted the message."""
        rows = await self._ports.store.messages(self._user_id, [message_id])
        if message_id not in rows:
            raise Pop3Refusal(replies.GONE)
        return rows[message_id].content

    async def _piece(self, content: Stored, start: int) -> bytes:
        return await self._ports.contents.read(
            content.ref, start=start, size_bytes=self._piece_bytes
        )

    async def _stream(self, content: Stored, piece: bytes, cut: TopCut | None) -> None:
        """Send the content, whose first piece is `piece`, and the end of the message."""
        ends, stuffing = LineEnds(), DotStuffing()
        start = 0
        while piece:
            start += len(piece)
            data = ends.feed(piece)
            await self._send(stuffing.feed(cut.feed(data) if cut else data))
            if cut is not None and cut.is_complete:
                break
            await asyncio.sleep(0)  # a fast reader must not keep other connections waiting
            piece = await self._piece(content, start) if start < content.size_bytes else b""
        rest = ends.end()
        await self._send(stuffing.feed(cut.feed(rest) if cut else rest) + stuffing.end())

    async def _send(self, data: bytes) -> None:
        if data:
            await self._connection.send(data)
            self._stats.sent_bytes_total += len(data)
