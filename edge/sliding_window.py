"""Sums by key over a sliding window of time, in bounded memory, pure."""

import time
from collections import Counter, deque
from collections.abc import Callable

_PARTS = 12  # of a window: a sum is at most one part too young


class SlidingSums:
    """Sums of weights by key over the last `window_s` seconds.

    `keys_max` bounds the keys of each of the window's 12 parts: beyond it the lighter half of a
    part is forgotten, so that many keys of weight 1 cannot push out a heavy one.
    """

    def __init__(
        self, *, window_s: float, keys_max: int = 4096, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._part_s = window_s / _PARTS
        self._keys_max = keys_max
        self._clock = clock
        self._parts: deque[tuple[int, dict[str, float]]] = deque()

    def add(self, key: str, weight: float = 1.0) -> None:
        number = self._expire()
        if not self._parts or self._parts[-1][0] != number:
            self._parts.append((number, {}))
        _, sums = self._parts[-1]
        sums[key] = sums.get(key, 0.0) + weight
        if len(sums) > self._keys_max:
            heavy = Counter(sums).most_common(self._keys_max // 2)
            self._parts[-1] = (number, dict(heavy))

    def of(self, key: str) -> float:
        self._expire()
        return sum(sums.get(key, 0.0) for _, sums in self._parts)

    def all(self) -> dict[str, float]:
        """Every key with its sum."""
        self._expire()
        found: dict[str, float] = {}
        for _, sums in self._parts:
            for key, weight in sums.items():
                found[key] = found.get(key, 0.0) + weight
        return found

    def _expire(self) -> int:
        """Forget parts that left the window. Returns the number of the present part."""
        number = int(self._clock() // self._part_s)
        while self._parts and self._parts[0][0] <= number - _PARTS:
            self._parts.popleft()
        return number
