"""Attempts while the shared store of attempts is away: each process counts for itself."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from edge.outage_switch import OutageSwitch, share
from mail.ports import CLOCK_SKEW_MS, Attempts
from schemas.directory import AttemptLimit, CountedAttempt

KEYS_MAX = 20_000  # beyond it the key that was counted longest ago is dropped


class LocalAttempts(Attempts):
    """Attempts that this process has counted, in bounded memory."""

    def __init__(self, *, keys_max: int = KEYS_MAX) -> None:
        self._keys_max = keys_max
        self._counted: OrderedDict[str, dict[str, int]] = OrderedDict()  # by key and id: time

    async def begin(self, attempt: CountedAttempt, limits: Sequence[AttemptLimit]) -> int:
        wait_ms = await self.wait_ms(limits, at_ms=attempt.at_ms)
        for key in () if wait_ms else attempt.keys:
            self._counted.setdefault(key, {}).setdefault(attempt.attempt_id, attempt.at_ms)
            self._counted.move_to_end(key)
            if len(self._counted) > self._keys_max:
                self._counted.popitem(last=False)
        return wait_ms

    async def wait_ms(self, limits: Sequence[AttemptLimit], *, at_ms: int) -> int:
        return max((self._wait_for_ms(limit, at_ms) for limit in limits), default=0)

    async def withdraw(self, attempt: CountedAttempt) -> None:
        for key in attempt.keys:
            self._counted.get(key, {}).pop(attempt.attempt_id, None)

    async def prune(self, *, before_ms: int) -> int:
        pruned = 0
        for key, times in list(self._counted.items()):
            kept = {each: at_ms for each, at_ms in times.items() if at_ms >= before_ms}
            pruned += len(times) - len(kept)
            if kept:
                self._counted[key] = kept
            else:
                del self._counted[key]
        return pruned

    def _wait_for_ms(self, limit: AttemptLimit, at_ms: int) -> int:
        window = range(at_ms - limit.window_ms + 1, at_ms + CLOCK_SKEW_MS + 1)
        times = sorted(at for at in self._counted.get(limit.key, {}).values() if at in window)
        if len(times) < limit.most:
            return 0
        return min(times[-limit.most] + limit.window_ms - at_ms, limit.window_ms)


class AttemptsInOutage(Attempts):
    """The `shared` attempts, and those of this process while that store is unavailable."""

    def __init__(self, shared: Attempts, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._local = LocalAttempts()
        self._switch = OutageSwitch("sign-ins", clock_s)

    async def begin(self, attempt: CountedAttempt, limits: Sequence[AttemptLimit]) -> int:
        return await self._switch.either(
            lambda: self._shared.begin(attempt, limits),
            lambda: self._local.begin(attempt, _shares(limits)),
        )

    async def wait_ms(self, limits: Sequence[AttemptLimit], *, at_ms: int) -> int:
        return await self._switch.either(
            lambda: self._shared.wait_ms(limits, at_ms=at_ms),
            lambda: self._local.wait_ms(_shares(limits), at_ms=at_ms),
        )

    async def withdraw(self, attempt: CountedAttempt) -> None:
        """Also from what this process counted: the outage may have begun or ended meanwhile."""
        await self._local.withdraw(attempt)
        await self._switch.either(lambda: self._shared.withdraw(attempt), _nothing)

    async def prune(self, *, before_ms: int) -> int:
        pruned = await self._local.prune(before_ms=before_ms)
        return pruned + await self._switch.either(
            lambda: self._shared.prune(before_ms=before_ms), _zero
        )


def _shares(limits: Sequence[AttemptLimit]) -> list[AttemptLimit]:
    return [
        AttemptLimit(key=each.key, most=share(each.most), window_ms=each.window_ms)
        for each in limits
    ]


async def _nothing() -> None:
    return None


async def _zero() -> int:
    return 0
