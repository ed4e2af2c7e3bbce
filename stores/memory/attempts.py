"""Attempts in memory."""

from collections.abc import Sequence

from mail.ports import CLOCK_SKEW_MS, Attempts
from schemas.directory import AttemptLimit, CountedAttempt
from stores.memory.faults import FaultHook, no_fault, take_step


class MemoryAttempts(Attempts):
    """Steps for `fault`: read, write."""

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self._counted: set[tuple[str, int, str]] = set()  # key, time, attempt

    async def begin(self, attempt: CountedAttempt, limits: Sequence[AttemptLimit]) -> int:
        await take_step(self.fault, "write")
        wait_ms = self._wait_ms(limits, attempt.at_ms)
        if not wait_ms:
            self._counted |= _rows(attempt)
        return wait_ms

    async def wait_ms(self, limits: Sequence[AttemptLimit], *, at_ms: int) -> int:
        await take_step(self.fault, "read")
        return self._wait_ms(limits, at_ms)

    async def withdraw(self, attempt: CountedAttempt) -> None:
        await take_step(self.fault, "write")
        self._counted -= _rows(attempt)

    async def prune(self, *, before_ms: int) -> int:
        await take_step(self.fault, "write")
        kept = {row for row in self._counted if row[1] >= before_ms}
        pruned, self._counted = len(self._counted) - len(kept), kept
        return pruned

    def _wait_ms(self, limits: Sequence[AttemptLimit], at_ms: int) -> int:
        return max((self._wait_for_ms(limit, at_ms) for limit in limits), default=0)

    def _wait_for_ms(self, limit: AttemptLimit, at_ms: int) -> int:
        first, last = at_ms - limit.window_ms, at_ms + CLOCK_SKEW_MS
        times = sorted(
            (at for key, at, _ in self._counted if key == limit.key and first < at <= last),
            reverse=True,
        )
        if len(times) < limit.most:
            return 0
        return min(times[limit.most - 1] + limit.window_ms - at_ms, limit.window_ms)


def _rows(attempt: CountedAttempt) -> set[tuple[str, int, str]]:
    return {(key, attempt.at_ms, attempt.attempt_id) for key in attempt.keys}
