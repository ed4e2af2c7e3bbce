"""Send one WebSocket the changes since `since` from the journal, then live events.

No change is missing or repeated: the subscription to live events begins before the journal is read.
During the replay the send queue drops live events and remembers the highest seq among them. The
replay ends at that seq; from then on the queue stores events. So a long replay does not fill it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from aiohttp import web

from api.context import AppContext
from api.push.frames import LiveFrame, frames_of, threads_of
from api.push_connections import FEED_GONE, TRY_AGAIN_LATER, CloseReason, SendQueue
from mail.change_feed import steps_since
from mail.errors import JournalTruncated, Transient
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import UserId

THREADS_MAX = 50  # of one step; with more, a client reads its lists again
_POLL_S = 0.05  # between reads of the journal for a step that a live event announced


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequest:
    """What a client asks for.

    `since`: the last seq that the client has processed; None: live events only. `with_threads`:
    frames of conversations too, unless a step changes more than THREADS_MAX of them.
    """

    since: int | None
    with_threads: bool = False


class EventStream:
    """Sends the frames of one socket in order of `seq`."""

    def __init__(
        self,
        context: AppContext,
        ws: web.WebSocketResponse,
        user_id: UserId,
        queue: SendQueue,
        asked: StreamRequest,
    ) -> None:
        self.queue = queue
        self._context = context
        self._ws = ws
        self._user_id = user_id
        self._sent_seq = asked.since
        self._with_threads = asked.with_threads
        self._first_steps: Sequence[MailboxChanged] | None = None

    async def read_first_steps(self) -> None:
        """Read the first steps of the replay while the handshake can still be refused.

        Raises JournalTruncated.
        """
        if self._sent_seq is not None:
            self._first_steps = await self._read_steps(self._sent_seq)

    async def run(self) -> CloseReason:
        """Send until a failure; return the close reason. websocket.py detects a client exit."""
        try:
            if self._sent_seq is not None:
                await self._replay(self._sent_seq)
            while True:
                await self._send_live(await self.queue.take())
        except JournalTruncated:
            return FEED_GONE, "take the snapshot"
        except Transient:
            return TRY_AGAIN_LATER, "a store is unavailable"
        except TimeoutError:
            return TRY_AGAIN_LATER, "the journal is behind"
        except ConnectionError:
            return 1006, ""

    async def _replay(self, seq: int) -> None:
        while True:
            if sent_seq := await self._send_from_journal(seq):
                seq = sent_seq
            elif self.queue.go_live(seq):
                break
            else:
                await asyncio.sleep(_POLL_S)
        await self._send(LiveFrame(state=self._context.config.state(seq), seq=seq))

    async def _send_from_journal(self, seq: int) -> int | None:
        """Send the next steps after `seq`; return the last one's seq, or None.

        Raises JournalTruncated.
        """
        steps = await self._read_steps(seq) if self._first_steps is None else self._first_steps
        self._first_steps = None
        for step in steps:
            await self._send_step(step)
        return self._sent_seq if steps else None

    async def _read_steps(self, seq: int) -> Sequence[MailboxChanged]:
        steps, _ = await steps_since(self._context.ports.store, self._user_id, seq)
        return steps

    async def _send_live(self, step: MailboxChanged) -> None:
        """Send a live step, after the steps that live events skipped; drop a step already sent.

        Seqs are dense. Raises TimeoutError: the journal does not show a skipped step within
        `socket_behind_s`; the client then continues from its last `state` on a new socket.
        """
        if self._sent_seq is not None and step.seq > self._sent_seq + 1:
            async with asyncio.timeout(self._context.config.socket_behind_s):
                await self._fill_gap(step.seq)
        if self._sent_seq is None or step.seq > self._sent_seq:
            await self._send_step(step)

    async def _fill_gap(self, seq: int) -> None:
        """Send steps of the journal until the step before `seq` is sent."""
        while self._sent_seq is not None and seq > self._sent_seq + 1:
            if not await self._send_from_journal(self._sent_seq):
                await asyncio.sleep(_POLL_S)

    async def _send_step(self, step: MailboxChanged) -> None:
        ids = [change.message_id for change in step.changes]
        store, thread_ids, threads = self._context.ports.store, threads_of(step), None
        rows = await store.messages(self._user_id, ids) if ids else {}
        if self._with_threads and 0 < len(thread_ids) <= THREADS_MAX:
            threads = await store.thread_lists(self._user_id, thread_ids)
        for frame in frames_of(step, rows, self._context.config.state(step.seq), threads):
            await self._send(frame)
        self._sent_seq = step.seq

    async def _send(self, frame: msgspec.Struct) -> None:
        await self._ws.send_str(msgspec.json.encode(frame).decode())
        self._context.metrics.frames += 1
