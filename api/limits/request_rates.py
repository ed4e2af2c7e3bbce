"""Request rates of users and peers: a bucket that refills (IETF draft ratelimit-headers).

Every answer to a signed-in user says what is left, so that a program can slow down before it is
refused. Counted in this process; a bucket that is full again is forgotten.
"""

from collections import OrderedDict
from collections.abc import Callable

from aiohttp import web

from api.problems import too_many

WINDOW_S = 60
POLICY = "user"
KEYS_MAX = 20_000  # buckets remembered; beyond it the one that was used longest ago is forgotten
RATES = web.RequestKey("rates", dict)


class TokenBuckets:
    """`quota` a minute for each key (a user or a peer), all at once or bit by bit.

    A bucket is one number: when it will be full again, by the clock.
    """

    def __init__(self, quota: float, clock_s: Callable[[], float]) -> None:
        self.each_s = WINDOW_S / quota
        self._clock_s = clock_s
        self._full_at_s: OrderedDict[str, float] = OrderedDict()  # the last used stands last

    def full_in_s(self, key: str) -> float:
        """WINDOW_S when it is empty, more when more was taken than there was."""
        return max(0.0, self._full_at_s.get(key, 0.0) - self._clock_s())

    def empty_for_s(self, key: str) -> float:
        """Seconds until anything may be taken again; 0 when something is left."""
        return max(0.0, self.full_in_s(key) - WINDOW_S)

    def take(self, key: str, amount: float) -> None:
        """Take `amount`, even more than is left."""
        now_s, full_in_s = self._clock_s(), self.full_in_s(key)
        self._full_at_s[key] = now_s + full_in_s + amount * self.each_s
        self._full_at_s.move_to_end(key)
        while len(self._full_at_s) > KEYS_MAX or self._is_full_again(now_s):
            self._full_at_s.popitem(last=False)

    def _is_full_again(self, now_s: float) -> bool:
        """Whether the bucket that was used longest ago is."""
        return next(iter(self._full_at_s.values()), now_s + 1) <= now_s


class RequestRates:
    """`quota` requests a minute; 0: as many as one likes."""

    def __init__(self, quota: int, clock_s: Callable[[], float], *, policy: str = POLICY) -> None:
        self._policy = policy
        self._quota = quota
        self._buckets = TokenBuckets(quota or 1, clock_s)

    def take(self, key: str) -> dict[str, str]:
        """Count a request; the headers that say what is left. 429."""
        if not self._quota:
            return {}
        each_s = self._buckets.each_s
        full_in_s = self._buckets.full_in_s(key) + each_s
        wait_s = full_in_s - WINDOW_S
        if wait_s > each_s * 1e-6:
            refused = too_many("Too many requests; wait.", wait_s)
            refused.headers |= self._headers(0, wait_s)
            raise refused
        self._buckets.take(key, 1)
        return self._headers(int(-wait_s / each_s + 1e-6), full_in_s)

    def _headers(self, left: int, seconds: float) -> dict[str, str]:
        return {
            "RateLimit-Policy": f'"{self._policy}";q={self._quota};w={WINDOW_S}',
            "RateLimit": f'"{self._policy}";r={left};t={max(1, round(seconds))}',
        }
