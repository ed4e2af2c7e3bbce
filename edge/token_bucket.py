"""Token buckets by key (a user or a peer), in the memory of one process."""

from collections import OrderedDict
from collections.abc import Callable

from mail.ports import REFILL_S

WINDOW_S = int(REFILL_S)
KEYS_MAX = 20_000  # buckets kept; beyond it the least recently used bucket is dropped


class TokenBuckets:
    """One bucket of `quota` tokens per key; an empty bucket refills in WINDOW_S.

    A bucket is stored as one number: the time at which it will be full, by `clock_s`. Full buckets
    are dropped.
    """

    def __init__(self, quota: float, clock_s: Callable[[], float]) -> None:
        self.each_s = WINDOW_S / quota  # seconds until a token comes back
        self._clock_s = clock_s
        self._full_at_s: OrderedDict[str, float] = OrderedDict()  # the most recently used last

    def full_in_s(self, key: str) -> float:
        """Seconds until the bucket is full: WINDOW_S when empty, more when overdrawn."""
        return max(0.0, self._full_at_s.get(key, 0.0) - self._clock_s())

    def empty_for_s(self, key: str) -> float:
        """Seconds until the bucket holds anything; 0 when it holds something now."""
        return max(0.0, self.full_in_s(key) - WINDOW_S)

    def try_take(self, key: str) -> float:
        """Take one token and return 0, or return the seconds until the bucket holds one."""
        wait_s = self.full_in_s(key) + self.each_s - WINDOW_S
        if wait_s > self.each_s * 1e-6:  # rounding of the clock's sums
            return wait_s
        self.take(key, 1)
        return 0.0

    def remaining(self, key: str) -> int:
        """Whole tokens in the bucket."""
        return max(0, int((WINDOW_S - self.full_in_s(key)) / self.each_s + 1e-6))

    def take(self, key: str, amount: float) -> None:
        """Take `amount` tokens. The bucket may be overdrawn."""
        now_s, full_in_s = self._clock_s(), self.full_in_s(key)
        self._full_at_s[key] = now_s + full_in_s + amount * self.each_s
        self._full_at_s.move_to_end(key)
        while len(self._full_at_s) > KEYS_MAX or self._oldest_is_full(now_s):
            self._full_at_s.popitem(last=False)

    def _oldest_is_full(self, now_s: float) -> bool:
        """Whether the least recently used bucket is full again; False without buckets."""
        return next(iter(self._full_at_s.values()), now_s + 1) <= now_s
