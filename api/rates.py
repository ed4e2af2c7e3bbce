"""How many requests a user may make: a bucket that refills (IETF draft ratelimit-headers).

Every answer to somebody who is signed in says what is left, so that a program can slow down before
it is refused. Counted in this process; a bucket that is full again is forgotten.
"""

from collections.abc import Callable

from aiohttp import web

from api.problems import too_many

WINDOW_S = 60
POLICY = "user"
USERS_MAX = 20_000  # buckets remembered before those that are full again are looked for
RATES = web.RequestKey("rates", dict)


class Buckets:
    """`quota` a minute for each user, all at once or bit by bit.

    A bucket is one number: when it will be full again, by the clock.
    """

    def __init__(self, quota: float, clock_s: Callable[[], float]) -> None:
        self.each_s = WINDOW_S / quota
        self._clock_s = clock_s
        self._full_at_s: dict[str, float] = {}

    def full_in_s(self, user_id: str) -> float:
        """WINDOW_S when it is empty, more when more was taken than there was."""
        return max(0.0, self._full_at_s.get(user_id, 0.0) - self._clock_s())

    def take(self, user_id: str, amount: float) -> None:
        now_s, full_in_s = self._clock_s(), self.full_in_s(user_id)
        if len(self._full_at_s) >= USERS_MAX:
            self._full_at_s = {one: at for one, at in self._full_at_s.items() if at > now_s}
        self._full_at_s[user_id] = now_s + full_in_s + amount * self.each_s


class Rates:
    """`quota` requests a minute; 0: as many as one likes."""

    def __init__(self, quota: int, clock_s: Callable[[], float]) -> None:
        self._quota = quota
        self._buckets = Buckets(quota or 1, clock_s)

    def take(self, user_id: str) -> dict[str, str]:
        """Count a request; the headers that say what is left. 429."""
        if not self._quota:
            return {}
        each_s = self._buckets.each_s
        full_in_s = self._buckets.full_in_s(user_id) + each_s
        wait_s = full_in_s - WINDOW_S
        if wait_s > each_s * 1e-6:
            refused = too_many("Too many requests; wait.", wait_s)
            refused.headers |= self._headers(0, wait_s)
            raise refused
        self._buckets.take(user_id, 1)
        return self._headers(int(-wait_s / each_s + 1e-6), full_in_s)

    def _headers(self, left: int, seconds: float) -> dict[str, str]:
        return {
            "RateLimit-Policy": f'"{POLICY}";q={self._quota};w={WINDOW_S}',
            "RateLimit": f'"{POLICY}";r={left};t={max(1, round(seconds))}',
        }
