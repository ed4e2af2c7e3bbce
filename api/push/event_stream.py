"""What a socket is told: what it missed, from the journal, then each change as it happens.

The subscription stands before the journal is read. While it is read, the outbox only notes how far
the feed has come; it keeps events from the moment on at which the journal has told all of that.
So nothing falls between the two, and a client that was away for long fills no queue.
"""

import asyncio
from collections.abc import Sequence

import msgspec
from aiohttp import web

from api.context import AppContext
from api.push.frames import LiveFrame, frames_of
from api.push_connections import FEED_GONE, TRY_AGAIN_LATER, CloseReason, SendQueue
from api.rest.changes import steps_since
from mail.errors import JournalTruncated, Transient
from schemas.events.mailbox_events import MailboxChanged

_BEHIND_S = 0.05  # pause until the store is asked again for a step that the feed announced


class EventStream:
    """One socket's frames, in the order of `seq`."""

    def __init__(
        self,
        edge: AppContext,
        ws: web.WebSocketResponse,
        user_id: str,
        outbox: SendQueue,
        since: int | None,
    ) -> None:
        """`since`: the last seq that the client knows; None: it wants what happens from now on."""
        self.outbox = outbox
        self._edge = edge
        self._ws = ws
        self._user_id = user_id
        self._told_seq = since
        self._seen: Sequence[MailboxChanged] | None = None

    async def look(self) -> None:
        """Read the first steps while the handshake can still be refused.

        Raises JournalTruncated.
        """
        if self._told_seq is not None:
            self._seen = await self._next(self._told_seq)

    async def tell(self) -> CloseReason:
        """Until something is in the way; the client's end is noticed elsewhere."""
        try:
            if self._told_seq is not None:
                await self._catch_up(self._told_seq)
            while True:
                await self._step(await self.outbox.take())
        except JournalTruncated:
            return FEED_GONE, "take the snapshot"
        except Transient:
            return TRY_AGAIN_LATER, "a store is away"
        except TimeoutError:
            return TRY_AGAIN_LATER, "the journal is behind"
        except ConnectionError:
            return 1006, ""

    async def _catch_up(self, seq: int) -> None:
        while True:
            if told := await self._from_journal(seq):
                seq = told
            elif self.outbox.go_live(seq):
                break
            else:
                await asyncio.sleep(_BEHIND_S)
        await self._send(LiveFrame(state=self._edge.config.state(seq), seq=seq))

    async def _from_journal(self, seq: int) -> int | None:
        """Send the next steps after `seq`; return the last one's seq, or None.

        Raises JournalTruncated.
        """
        steps = await self._next(seq) if self._seen is None else self._seen
        self._seen = None
        for step in steps:
            await self._frames(step)
        return self._told_seq if steps else None

    async def _next(self, seq: int) -> Sequence[MailboxChanged]:
        steps, _ = await steps_since(self._edge.ports.store, self._user_id, seq)
        return steps

    async def _step(self, step: MailboxChanged) -> None:
        """Send a step of the feed, after the steps that the feed skipped; a sent one is dropped.

        Seqs are dense. TimeoutError: the journal does not show a skipped step within
        `socket_behind_s`; the client then continues from its last `state` on a new socket.
        """
        if self._told_seq is not None and step.seq > self._told_seq + 1:
            async with asyncio.timeout(self._edge.config.socket_behind_s):
                await self._fill_gap(step.seq)
        if self._told_seq is None or step.seq > self._told_seq:
            await self._frames(step)

    async def _fill_gap(self, seq: int) -> None:
        """Send what the journal has, until the step before `seq` is sent."""
        while self._told_seq is not None and seq > self._told_seq + 1:
            if not await self._from_journal(self._told_seq):
                await asyncio.sleep(_BEHIND_S)

    async def _frames(self, step: MailboxChanged) -> None:
        ids = [change.message_id for change in step.changes]
        rows = await self._edge.ports.store.messages(self._user_id, ids) if ids else {}
        for frame in frames_of(step, rows, self._edge.config.state(step.seq)):
            await self._send(frame)
        self._told_seq = step.seq

    async def _send(self, frame: msgspec.Struct) -> None:
        await self._ws.send_str(msgspec.json.encode(frame).decode())
        self._edge.metrics.frames += 1
