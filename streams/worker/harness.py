"""Binds a stage to Faust without its ways of losing mail.

Faust acknowledges on its own, lets commits pass events that still run, and waits without a bound at
a revoke. So: `noack`, one window per partition and assignment, acks in arrival order, and at a
revoke everything of the lost partitions is cancelled and never acknowledged.
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
from streams.worker.event_handling import EventHandling, ReceivedEvent
from streams.worker.in_flight_window import InFlightEvent, InFlightWindow

log = logging.getLogger(__name__)


class RecordsSkipped(Fatal):
    """Records between two that came did not come: going on would count them as done."""

    def __init__(self, tp: TP, since: int, until: int) -> None:
        super().__init__(f"{tp.topic}/{tp.partition}: nothing came from {since} to before {until}")


@dataclass(frozen=True, slots=True, eq=False)
class _Begun:
    """The rest of a coroutine that has begun, and now waits for a future."""

    coroutine: Coroutine[Any, Any, Any]
    waits_for: Any

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self.waits_for
        try:
            while True:
                try:
                    told = yield waits_for
                except BaseException as error:  # noqa: BLE001  (a cancellation too is for it)
                    waits_for = self.coroutine.throw(error)
                else:
                    waits_for = self.coroutine.send(told)
        except StopIteration as end:
            return end.value


class RewindingConsumer(driver.Consumer):
    """Rewinds partitions of which nothing is committed yet, which upstream leaves where they are.

    Around an assignment Faust drops what it has fetched and relies on this seek to read it again;
    the first commands of a new partition were lost so. Tables' changelogs are never committed, and
    recovery alone moves them.
    """

    async def seek_to_committed(self) -> Any:
        found = await super().seek_to_committed()
        ours = self.app.topics.acks_enabled_for
        fresh = [tp for tp, offset in found.items() if not offset and ours(tp.topic)]
        if fresh:
            await self._thread.seek_to_beginning(*fresh)
        return found

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        """The thread that fetches has a loop of its own, which upstream leaves to asyncio."""
        loop = uvloop.new_event_loop()
        return driver.AIOKafkaConsumerThread(
            self, loop=self.loop, beacon=self.beacon, thread_loop=loop
        )

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109
        """Upstream hands over each record by four tasks, in case that it has to wait; few do.

        So the handing over is begun here, and the tasks are made if it waits. Either way the
        others have a turn of the loop: what is taken must not pile up before the windows.
        """
        if len(coros) != 2:  # a record's, and the sign that the flow stops
            return await super().wait_first(*coros, timeout=timeout)
        handing, stops = coros
        try:
            waits_for = handing.send(None)
        except StopIteration:
            stops.close()
            return await asyncio.sleep(0)
        return await super().wait_first(_Begun(handing, waits_for), stops, timeout=timeout)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Upstream counts a gap as acknowledged, for compacted topics and transactions.

        Our work topics have neither, so a gap is what was dropped on the way: no commit may pass
        it. The worker ends, and the next one begins at what is committed.
        """
        await self.app.crash(RecordsSkipped(tp, offset_from, offset_to))

    async def verify_all_partitions_active(self) -> None:
        """Nothing: upstream only logs here, and ends the worker where a position is not known yet.

        Whether partitions move is what Worker.unhealthy tells (streams/worker/worker.py).
        """


class Harness:
    """One stage in one worker: takes its stream's events, keeps a window per partition."""

    def __init__(
        self, app: faust.App, handling: EventHandling, on_fatal: Callable[[BaseException], None]
    ) -> None:
        self._app = app
        self._handling = handling
        self._config: StreamsConfig = handling.config
        self._on_fatal = on_fatal
        self._windows: dict[TP, InFlightWindow] = {}
        self._full: set[TP] = set()
        self._next: dict[TP, int] = {}  # the offset that must come next
        self._ended = False

    def bind(self) -> None:
        """Make the agent; the app is not started yet."""
        topic = self._app.topic(
            self._handling.topic.name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            allow_empty=True,  # a record without bytes is undecodable, not skipped
        )
        name = f"{self._app.conf.id}.{self._handling.stage.name}"
        self._app.agent(topic, name=name)(self._consume)

    async def _consume(self, stream: Any) -> None:
        async for event in stream.noack().events():
            self._take(event)

    def _take(self, event: Any) -> None:
        if self._ended:
            return  # an ack now could pass events that were cancelled before it
        message = event.message
        tp = TP(message.topic, message.partition)  # message.tp is aiokafka's, which Faust refuses
        if not self._follows(tp, message.offset):
            return
        window = self._window(tp)
        arrival = ReceivedEvent(
            partition=message.partition,
            offset=message.offset,
            key=message.key or b"",
            value=message.value or b"",
            headers=message.headers or (),
        )
        entry = InFlightEvent(
            key=arrival.key,
            size_bytes=len(arrival.value),
            work=lambda: self._handling.handle(arrival, lambda: not window.closed),
            ack=lambda: self._ack(event, tp, window),
        )
        window.feed(entry)
        self._breathe(tp, window)

    def _follows(self, tp: TP, offset: int) -> bool:
        """Whether nothing was skipped; what was taken before may come again."""
        due = self._next.get(tp, offset)
        if offset > due:
            self._on_fatal(RecordsSkipped(tp, due, offset))
            return False
        self._next[tp] = offset + 1
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
        self._handling.status.acked((tp.topic, tp.partition))
        self._breathe(tp, window)

    def _breathe(self, tp: TP, window: InFlightWindow) -> None:
        """Fetch no more of a partition that is full, and go on when it is half empty.

        By the consumer's own calls for a full buffer. `pause_partitions` would lose mail: what is
        left of the batch under way is dropped, and then counted as done.
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
        """The partition whose front has been at work for so long without a hold."""
        for tp, window in self._windows.items():
            at_work_s = min(
                window.oldest_s, self._handling.status.stalled_s((tp.topic, tp.partition))
            )
            if at_work_s > limit_s:
                return f"{tp.topic}/{tp.partition} has not moved for {at_work_s:.0f} s"
        return None

    def wake(self) -> None:
        """Try what waits at once: requests of operators have come."""
        self._handling.wake()

    async def revoke(self, lost: Collection[TP]) -> None:
        """Cancel and forget what runs on `lost`; wait for its end within the bound."""
        tasks: list[asyncio.Task[None]] = []
        for tp in lost:
            self._full.discard(tp)
            self._next.pop(tp, None)
            window = self._windows.pop(tp, None)
            if window is not None:
                tasks += window.close()
        if tasks:
            await asyncio.wait(tasks, timeout=self._config.revoke_limit_s)
        for tp in lost:
            if tp.topic == self._handling.topic.name:
                self._handling.forget(tp.partition)

    def end(self) -> None:
        """Take nothing more; from here on there is only `drain`."""
        self._ended = True

    async def drain(self, limit_s: float) -> None:
        """Let what runs end, at a stop; then forget the rest unacknowledged."""
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
