"""Harness: bind a stage to a Faust agent without the ways in which Faust loses events.

Faust acknowledges an event even if its handler failed, lets a commit pass events that are still
running, and waits without a limit at a revoke. So the harness reads with `noack`, keeps one window
per partition and assignment, acknowledges in arrival order, and at a revoke cancels all events of
the lost partitions and never acknowledges them.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Generator
from dataclasses import dataclass
from typing import Any

import faust
import uvloop
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from mail.errors import Fatal
from streams.config import StreamsConfig
from streams.worker.assignment_lease import AssignmentLease, renewing
from streams.worker.event_handling import EventHandling, ReceivedEvent
from streams.worker.in_flight_window import InFlightEvent, InFlightWindow

log = logging.getLogger(__name__)


class RecordsSkipped(Fatal):
    """Records between two received records are missing. A later commit would count them as done."""

    def __init__(self, tp: TP, first: int, end: int) -> None:
        super().__init__(f"{tp.topic}/{tp.partition}: offsets {first} to {end - 1} did not come")


@dataclass(frozen=True, slots=True, eq=False)
class _StartedCoroutine:
    """The rest of a coroutine that was started, and now waits for a future."""

    coroutine: Coroutine[Any, Any, Any]
    waits_for: Any

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self.waits_for
        try:
            while True:
                try:
                    result = yield waits_for
                except BaseException as error:  # noqa: BLE001  (the coroutine is cancelled too)
                    waits_for = self.coroutine.throw(error)
                else:
                    waits_for = self.coroutine.send(result)
        except StopIteration as end:
            return end.value


class LeasedConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's thread that fetches and sends heartbeats; it renews a lease."""

    def __init__(self, consumer: Any, *, lease: AssignmentLease, **more: Any) -> None:
        self._lease = lease
        super().__init__(consumer, **more)

    async def on_start(self) -> None:
        """Watch the coordinator, which has no topics yet, and so has not joined its group."""
        await super().on_start()
        coordinator = self._consumer._coordinator  # noqa: SLF001  (aiokafka has no hook)
        coordinator._send_req = renewing(self._lease, coordinator._send_req)  # noqa: SLF001


class RewindingConsumer(driver.Consumer):
    """Faust's consumer, which also seeks partitions without a commit: to their beginning.

    Around an assignment Faust drops the records that it has fetched and relies on this seek to read
    them again. Upstream seeks only partitions with a commit, so it lost the first commands of a new
    partition. Changelogs of tables never have a commit; only recovery moves their positions.
    """

    def __init__(self, *values: Any, lease: AssignmentLease, **more: Any) -> None:
        self._lease = lease
        super().__init__(*values, **more)

    async def seek_to_committed(self) -> Any:
        offsets = await super().seek_to_committed()
        has_acks = self.app.topics.acks_enabled_for
        uncommitted = [tp for tp, offset in offsets.items() if not offset and has_acks(tp.topic)]
        if uncommitted:
            await self._thread.seek_to_beginning(*uncommitted)
        return offsets

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        """Give the fetching thread a lease to renew, and a uvloop; upstream gives it asyncio's."""
        self.fetch_loop = uvloop.new_event_loop()
        return LeasedConsumerThread(
            self,
            lease=self._lease,
            loop=self.loop,
            beacon=self.beacon,
            thread_loop=self.fetch_loop,
        )

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109
        """Deliver a record without creating tasks, unless its delivery has to wait.

        Upstream creates four tasks per record; few deliveries wait. This override starts the
        delivery itself, and calls upstream only if it waits. Otherwise it suspends once, so that
        other tasks run and records do not pile up before the windows.
        """
        if len(coros) != 2:  # the delivery of a record, and the wait for the flow to stop
            return await super().wait_first(*coros, timeout=timeout)
        delivery, flow_stop = coros
        try:
            waits_for = delivery.send(None)
        except StopIteration:
            flow_stop.close()
            return await asyncio.sleep(0)
        started = _StartedCoroutine(delivery, waits_for)
        return await super().wait_first(started, flow_stop, timeout=timeout)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Crash at a gap in the offsets.

        Upstream counts a gap as acknowledged, because compaction and transactions leave gaps. The
        work topics have neither, so a gap means records that were dropped on the way, and no commit
        may pass it. The worker ends, and the next worker begins at the committed offset.
        """
        await self.app.crash(RecordsSkipped(tp, offset_from, offset_to))

    async def verify_all_partitions_active(self) -> None:
        """Do nothing. Upstream logs here, and crashes while a position is not known yet.

        Worker.unhealthy detects partitions that do not advance (streams/worker/worker.py).
        """


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
