"""In-flight window: run many events of one partition at once, acknowledge them in arrival order.

A window belongs to one stage, one partition and one assignment. Kafka keeps one committed offset
per partition, so a finished event waits for the events before it. Hence a hold stops its own
partition and no other. A closed window never acknowledges: its events belong to the next owner.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

Acknowledge = Callable[[], None]


@dataclass(slots=True, eq=False)
class InFlightEvent:
    """An event of the window: `work` handles it, `ack` acknowledges it.

    `is_done`: it was handled together with an event before it. `alone`: that was tried and failed.
    """

    key: bytes
    size_bytes: int
    work: Callable[[], Coroutine[Any, Any, None]]
    ack: Acknowledge
    received: Any = None
    is_done: bool = False
    alone: bool = False
    context: Context = field(
        default_factory=copy_context
    )  # at arrival: Faust's tables need the current event
    started_s: float = 0.0  # monotonic
    task: "asyncio.Task[None] | None" = None


class InFlightWindow:
    """Runs up to `limit` events at once; if `ordered`, events of equal key one after another."""

    def __init__(
        self, *, limit: int, ordered: bool, on_fatal: Callable[[BaseException], None]
    ) -> None:
        self._limit = limit
        self._ordered = ordered
        self._on_fatal = on_fatal
        self._waiting: deque[InFlightEvent] = deque()
        self._running: deque[InFlightEvent] = deque()  # in arrival order, with finished events
        self._last_of_key: dict[bytes, asyncio.Task[None]] = {}
        self.waiting_bytes = 0
        self.closed = False

    @property
    def waiting(self) -> int:
        """Number of events that have not begun."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Number of events that have begun and are not acknowledged."""
        return len(self._running)

    @property
    def oldest_s(self) -> float:
        """Time since the oldest unacknowledged event began; it keeps the commit from advancing."""
        return time.monotonic() - self._running[0].started_s if self._running else 0.0

    def stop_starting(self) -> None:
        """Begin no more events. Running events may end and be acknowledged."""
        self._limit = 0

    def feed(self, entry: InFlightEvent) -> None:
        """Add an event. A closed window drops it, unacknowledged."""
        if self.closed:
            return
        self._waiting.append(entry)
        self.waiting_bytes += entry.size_bytes
        self._start_more()

    def close(self) -> list["asyncio.Task[None]"]:
        """Cancel and forget all events; return the tasks that have not ended yet."""
        self.closed = True
        tasks = [entry.task for entry in self._running if entry.task and not entry.task.done()]
        for task in tasks:
            task.cancel()
        self._waiting.clear()
        self._running.clear()
        self._last_of_key.clear()
        self.waiting_bytes = 0
        return tasks

    def _start_more(self) -> None:
        while self._waiting and len(self._running) < self._limit:
            entry = self._waiting.popleft()
            self.waiting_bytes -= entry.size_bytes
            work = self._run(entry, self._predecessor(entry))
            entry.started_s = time.monotonic()
            entry.task = asyncio.create_task(work, context=entry.context)
            if self._ordered:
                self._last_of_key[entry.key] = entry.task
            self._running.append(entry)
            entry.task.add_done_callback(self._advance)

    def _predecessor(self, entry: InFlightEvent) -> "asyncio.Task[None] | None":
        return self._last_of_key.get(entry.key) if self._ordered else None

    async def _run(self, entry: InFlightEvent, predecessor: "asyncio.Task[None] | None") -> None:
        if predecessor is not None and not predecessor.done():
            await asyncio.wait([predecessor])  # its failure is fatal by its own callback
        if not entry.is_done:
            await entry.work()

    def followers(self, entry: InFlightEvent) -> list[InFlightEvent]:
        """The events of the same key that have begun and wait for `entry`, in arrival order."""
        if entry.alone:
            return []
        same_key = [other for other in self._running if other.key == entry.key]
        after = same_key[same_key.index(entry) + 1 :]
        return list(takewhile(lambda other: not other.alone, after))

    def _advance(self, task: "asyncio.Task[None]") -> None:
        """Acknowledge the finished events at the front.

        A failed task is fatal: the window closes, and neither its event nor a later event is ever
        acknowledged.
        """
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if self.closed:
            return
        if error is not None:
            self.close()
            self._on_fatal(error)
            return
        while self._running and (front := self._running[0].task) and front.done():
            entry = self._running.popleft()
            if self._last_of_key.get(entry.key) is front:
                del self._last_of_key[entry.key]
            entry.ack()
        self._start_more()
