"""One partition's events under way: many at once, acknowledged strictly in arrival order.

A window belongs to one stage, one partition and one assignment. Kafka keeps one number per
partition, so an event that is done waits for those before it; a hold therefore stops its own
partition and no other. A closed window never acknowledges: its events belong to the next owner.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

Acknowledge = Callable[[], None]


@dataclass(slots=True, eq=False)
class InFlightEvent:
    """An event that arrived: `work` runs it, `ack` acknowledges it."""

    key: bytes
    size_bytes: int
    work: Callable[[], Coroutine[Any, Any, None]]
    ack: Acknowledge
    context: Context = field(default_factory=copy_context)  # of its arrival: tables need it
    started_s: float = 0.0  # monotonic
    task: "asyncio.Task[None] | None" = None


class InFlightWindow:
    """`limit` handlers at once; with `ordered`, events of one key one after another."""

    def __init__(
        self, *, limit: int, ordered: bool, on_fatal: Callable[[BaseException], None]
    ) -> None:
        self._limit = limit
        self._ordered = ordered
        self._on_fatal = on_fatal
        self._waiting: deque[InFlightEvent] = deque()
        self._running: deque[InFlightEvent] = (
            deque()
        )  # arrival order; done ones wait for earlier ones
        self._last_of_key: dict[bytes, asyncio.Task[None]] = {}
        self.waiting_bytes = 0
        self.closed = False

    @property
    def waiting(self) -> int:
        """Events that arrived and do not run yet."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Events that began and are not acknowledged."""
        return len(self._running)

    @property
    def oldest_s(self) -> float:
        """How long the front has been at work, and kept the partition from moving."""
        return time.monotonic() - self._running[0].started_s if self._running else 0.0

    def stop_starting(self) -> None:
        """What runs may end and be acknowledged; nothing more begins."""
        self._limit = 0

    def feed(self, entry: InFlightEvent) -> None:
        """Take an event; events of a closed window are dropped unacknowledged."""
        if self.closed:
            return
        self._waiting.append(entry)
        self.waiting_bytes += entry.size_bytes
        self._start_more()

    def close(self) -> list["asyncio.Task[None]"]:
        """Cancel everything and forget it; the tasks that are still to end."""
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
            work = self._run(entry, self._before(entry))
            entry.started_s = time.monotonic()
            entry.task = asyncio.create_task(work, context=entry.context)
            if self._ordered:
                self._last_of_key[entry.key] = entry.task
            self._running.append(entry)
            entry.task.add_done_callback(self._advance)

    def _before(self, entry: InFlightEvent) -> "asyncio.Task[None] | None":
        return self._last_of_key.get(entry.key) if self._ordered else None

    async def _run(self, entry: InFlightEvent, before: "asyncio.Task[None] | None") -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])  # its failure is its own, and fatal already
        await entry.work()

    def _advance(self, task: "asyncio.Task[None]") -> None:
        """Acknowledge what is done at the front. A task that failed is fatal: no ack, ever."""
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
