"""Relay worker: sends the due rows of the relay queue of the partitions that this process owns.

Of two processes that own a partition one after the other, the later one takes over the claims of
the earlier one, which can then not send a final dot. A destination has a few mails at work at a
time and takes turns with the others, so a long queue of one does not delay the others.

A store or the broker unreachable: rows wait.
Safe to repeat: see attempt.py.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from agents.ports import RelayWorkPorts
from agents.relaying.attempt import RelayAttempt
from agents.relaying.unreachable import Unreachable
from mail.clock_guard import ClockGuard
from mail.ids import new_id
from mail.lifecycle import Periodic
from schemas.relay import RelayBatch

log = logging.getLogger(__name__)
CLAIMS_PER_CALL = 500  # that RelayQueue.release_claims releases at most


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayLimits:
    """Limits of one process."""

    at_once: int = 100  # mails
    of_destination_at_once: int = 5  # mails
    claim_ms: int = 2 * 3600 * 1000  # longest attempt; then the rows are due again
    poll_s: float = 1.0  # between looks at the queue
    stop_s: float = 15.0  # for answers to final dots when the process ends


@dataclass(slots=True)
class RelayWorker:
    """The job. `results` counts recipients by status since the start of the process."""

    ports: RelayWorkPorts
    partitions: Callable[[], Collection[int]]
    limits: RelayLimits = field(default_factory=RelayLimits)
    clock: ClockGuard = field(default_factory=ClockGuard)
    unreachable: Unreachable = field(default_factory=Unreachable)
    claim: str = field(default_factory=new_id)  # of this process
    results: Counter[str] = field(default_factory=Counter)
    _owned: frozenset[int] = frozenset()
    _at_work: dict["asyncio.Task[None]", RelayAttempt] = field(default_factory=dict)
    _busy: Counter[str] = field(default_factory=Counter)
    _loop: Periodic | None = None

    async def start(self) -> None:
        self._loop = Periodic("relay", self._turn_and_wait, interval_s=0.0)
        self._loop.start()

    async def stop(self) -> None:
        """End attempts that have not sent their final dot; wait for the answers to the others."""
        if self._loop is not None:
            await self._loop.stop()
        for task, attempt in list(self._at_work.items()):
            if not attempt.marked:
                task.cancel()
        if self._at_work:
            await asyncio.wait(list(self._at_work), timeout=self.limits.stop_s)
        for task in list(self._at_work):
            task.cancel()
        await self.ports.transport.close()

    async def turn(self) -> None:
        """Begin attempts for what is due, within the limits."""
        await self._take_over(frozenset(self.partitions()))
        free = self.limits.at_once - len(self._at_work)
        if free <= 0 or not self._owned:
            return
        now_ms = self.clock.now_ms()
        batches = await self.ports.queue.claim(
            self._owned,
            claim=self.claim,
            now_ms=now_ms,
            until_ms=now_ms + self.limits.claim_ms,
            busy=[
                destination
                for destination, count in self._busy.items()
                if count >= self.limits.of_destination_at_once
            ],
            limit=free,
        )
        for batch in batches:
            self._begin(batch)
        if batches:
            self.ports.wake.set()  # more mail of the same destinations may be due

    async def finish(self) -> None:
        """Wait until the attempts at work have ended. For tests."""
        while self._at_work:
            await asyncio.wait(list(self._at_work))

    @property
    def at_work(self) -> int:
        """Mails that are being sent."""
        return len(self._at_work)

    async def _turn_and_wait(self) -> None:
        self.ports.wake.clear()
        try:
            await self.turn()
        except Exception:
            await asyncio.sleep(self.limits.poll_s)
            raise
        try:
            async with asyncio.timeout(self.limits.poll_s):
                await self.ports.wake.wait()
        except TimeoutError:
            return

    async def _take_over(self, owned: frozenset[int]) -> None:
        """Make the claims of earlier owners of new partitions due."""
        new = owned - self._owned
        if new:
            released = CLAIMS_PER_CALL
            while released == CLAIMS_PER_CALL:
                released = await self.ports.queue.release_claims(
                    new, claim=self.claim, now_ms=self.clock.now_ms()
                )
        self._owned = owned

    def _begin(self, batch: RelayBatch) -> None:
        attempt = RelayAttempt(batch, self.ports, self.unreachable, self.clock)
        destination = batch.mail.destination
        task = asyncio.create_task(self._run(attempt), name=f"relay {destination}")
        self._at_work[task] = attempt
        self._busy[destination] += 1
        task.add_done_callback(self._ended)

    async def _run(self, attempt: RelayAttempt) -> None:
        for outcome in await attempt.run():
            self.results[outcome.result.status] += 1

    def _ended(self, task: "asyncio.Task[None]") -> None:
        attempt = self._at_work.pop(task)
        destination = attempt.batch.mail.destination
        self._busy[destination] -= 1
        if not self._busy[destination]:
            del self._busy[destination]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("attempt of %s failed", attempt.batch.mail.mail_id, exc_info=error)
        self.ports.wake.set()
        self.ports.recorded.set()
