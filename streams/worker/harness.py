"""Harness: bind a stage to a Faust agent without the ways in which Faust loses events.

Faust acknowledges an event even if its handler failed, lets a commit pass events that are still
running, and waits without a limit at a revoke. So the harness reads with `noack`, keeps one window
per partition and assignment, acknowledges in arrival order, and at a revoke cancels all events of
the lost partitions and never acknowledges them.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import faust
from faust.types import TP

from streams.config import StreamsConfig
from streams.worker.consumer import RecordsSkipped
from streams.worker.event_handling import EventHandling, ReceivedEvent
from streams.worker.in_flight_window import InFlightEvent, InFlightWindow


class Harness:
    """One stage in one worker: passes the events of its stream to one window per partition."""

    def __init__(
        self, app: faust.App, handling: EventHandling, on_fatal: Callable[[BaseException], None]
    ) -> None:
        self._app = app
        self._handling = handling
        self._config: StreamsConfig = handling.worker.config
        self._status = handling.worker.status
        self._on_fatal = on_fatal
        self._windows: dict[TP, InFlightWindow] = {}
        self._full: set[TP] = set()
        self._expected: dict[TP, int] = {}  # the next offset to come
        self._ended = False

    def bind(self) -> None:
        """Create the agent. Call before the app starts."""
        topic = self._app.topic(
            self._handling.topic.name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            allow_empty=True,  # a record without a value is undecodable, not skipped
        )
        name = f"{self._app.conf.id}.{self._handling.stage.name}"
        self._app.agent(topic, name=name)(self._consume)

    async def _consume(self, stream: Any) -> None:
        async for event in stream.noack().events():
            self._take(event)

    def _take(self, event: Any) -> None:
        if self._ended:
            return  # an ack could now pass events that were cancelled before this event
        message = event.message
        tp = TP(
            message.topic, message.partition
        )  # message.tp is aiokafka's type, which Faust rejects
        if not self._is_expected(tp, message.offset):
            return
        window = self._window(tp)
        received = ReceivedEvent(
            partition=message.partition,
            offset=message.offset,
            key=message.key or b"",
            value=message.value or b"",
            headers=message.headers or (),
        )
        entry = InFlightEvent(
            key=received.key,
            size_bytes=len(received.value),
            work=lambda: self._handle(entry, window),
            ack=lambda: self._ack(event, tp, window),
            received=received,
        )
        window.feed(entry)
        self._limit_buffer(tp, window)

    async def _handle(self, entry: InFlightEvent, window: InFlightWindow) -> None:
        """Handle an event, together with those of its key that wait for it if the stage can."""

        def is_current() -> bool:
            return not window.closed

        if self._handling.handler.handle_together is not None:
            group = [entry, *window.followers(entry)]
            received = [member.received for member in group]
            if len(group) > 1 and await self._handling.handle_together(received, is_current):
                for member in group:
                    member.is_done = True
                return
            for member in group:
                member.alone = len(group) > 1
        await self._handling.handle(entry.received, is_current)

    def _is_expected(self, tp: TP, offset: int) -> bool:
        """Return whether no offset before `offset` is missing; a lower offset may come again."""
        expected = self._expected.get(tp, offset)
        if offset > expected:
            self._on_fatal(RecordsSkipped(tp, expected, offset))
            return False
        self._expected[tp] = offset + 1
        return True

    def _window(self, tp: TP) -> InFlightWindow:
        if tp not in self._windows:
            stage = self._handling.stage
            self._windows[tp] = InFlightWindow(
                limit=stage.in_flight, ordered=stage.ordered, on_fatal=self._on_fatal
            )
        return self._windows[tp]

    def _ack(self, event: Any, tp: TP, window: InFlightWindow) -> None:
        event.ack()
        self._status.moves((tp.topic, tp.partition))
        self._limit_buffer(tp, window)

    def _limit_buffer(self, tp: TP, window: InFlightWindow) -> None:
        """Stop fetching a partition whose buffer is full, and resume when it is half empty.

        Uses the consumer's own methods for a full buffer. `pause_partitions` would lose mail: Faust
        drops the rest of the current batch, and then counts it as done.
        """
        share = max(
            window.waiting / self._config.buffer_max_events,
            window.waiting_bytes / self._config.buffer_max_bytes,
        )
        if share >= 1:
            self._full.add(tp)
            self._app.consumer.on_buffer_full(tp)
        elif share < 1 / 2 and tp in self._full:
            self._full.discard(tp)
            self._app.consumer.on_buffer_drop(tp)

    def stalled(self, limit_s: float) -> str | None:
        """Return which partition's oldest event has run for `limit_s` without a hold, or None."""
        for tp, window in self._windows.items():
            stalled_s = min(window.oldest_s, self._status.stalled_s((tp.topic, tp.partition)))
            if stalled_s > limit_s:
                return f"{tp.topic}/{tp.partition} has not moved for {stalled_s:.0f} s"
        return None

    def wake(self) -> None:
        """Try all held events at once: operators have made requests."""
        self._handling.wake()

    async def revoke(self, lost: Collection[TP]) -> None:
        """Cancel and forget all events of the partitions `lost`; wait up to revoke_limit_s."""
        tasks: list[asyncio.Task[None]] = []
        for tp in lost:
            self._full.discard(tp)
            self._expected.pop(tp, None)
            window = self._windows.pop(tp, None)
            if window is not None:
                tasks += window.close()
        if tasks:
            await asyncio.wait(tasks, timeout=self._config.revoke_limit_s)
        for tp in lost:
            if tp.topic == self._handling.topic.name:
                self._handling.forget(tp.partition)

    def end(self) -> None:
        """Take no more events; only `drain` may follow."""
        self._ended = True

    async def drain(self, limit_s: float) -> None:
        """Wait up to `limit_s` for running events; then cancel the rest, unacknowledged."""
        self.end()
        windows = list(self._windows.values())
        for window in windows:
            window.stop_starting()
        ends_s = asyncio.get_running_loop().time() + limit_s
        while asyncio.get_running_loop().time() < ends_s:
            if not any(window.running for window in windows):
                break
            await asyncio.sleep(0.02)
        await self.revoke(list(self._windows))
