"""Sums by key over a sliding window of time, in bounded memory, pure."""

import time
from collections import Counter, deque
from collections.abc import Callable

_PARTS = 12  # of a window: a sum may lack the oldest twelfth of its window


class SlidingSums:
    """Sums of weights by key over the last `window_s` seconds.

    `keys_max` bounds the keys of each of the window's 12 parts. Beyond it the lighter half of a
    part is dropped, so that many keys of weight 1 cannot displace a key of large weight.
    """

    def __init__(
        self, *, window_s: float, keys_max: int = 4096, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._part_s = window_s / _PARTS
        self._keys_max = keys_max
        self._clock = clock
        self._parts: deque[tuple[int, dict[str, float]]] = deque()

    def add(self, key: str, weight: float = 1.0) -> None:
        """Add `weight` to the sum of `key`."""
        number = self._expire()
        if not self._parts or self._parts[-1][0] != number:
            self._parts.append((number, {}))
        _, sums = self._parts[-1]
        sums[key] = sums.get(key, 0.0) + weight
        if len(sums) > self._keys_max:
            heavy = Counter(sums).most_common(self._keys_max // 2)
            self._parts[-1] = (number, dict(heavy))

    def of(self, key: str) -> float:
        """The sum of `key`; 0 for an unknown key."""
        self._expire()
        return sum(sums.get(key, 0.0) for _, sums in self._parts)

    def all(self) -> dict[str, float]:
        """Every key with its sum."""
        self._expire()
        sums_by_key: dict[str, float] = {}
        for _, sums in self._parts:
            for key, weight in sums.items():
                sums_by_key[key] = sums_by_key.get(key, 0.0) + weight
        return sums_by_key

    def _expire(self) -> int:
        """Drop parts that have left the window; return the number of the current part."""
        number = int(self._clock() // self._part_s)
        while self._parts and self._parts[0][0] <= number - _PARTS:
            self._parts.popleft()
        return number
