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


class Rates:
    """`quota` requests a minute, all at once or one by one; 0: as many as one likes.

    A bucket is one number: when it will be full again, by the clock.
    """

    def __init__(self, quota: int, clock_s: Callable[[], float]) -> None:
        self._quota = quota
        self._clock_s = clock_s
        self._full_at_s: dict[str, float] = {}

    def take(self, user_id: str) -> dict[str, str]:
        """Count a request; the headers that say what is left. 429."""
        if not self._quota:
            return {}
        now_s, each_s = self._clock_s(), WINDOW_S / self._quota
        full_at_s = max(self._full_at_s.get(user_id, now_s), now_s) + each_s
        wait_s = full_at_s - now_s - WINDOW_S
        if wait_s > each_s * 1e-6:
            refused = too_many("Too many requests; wait.", wait_s)
            refused.headers |= self._headers(0, wait_s)
            raise refused
        self._forget(now_s)
        self._full_at_s[user_id] = full_at_s
        return self._headers(int(-wait_s / each_s + 1e-6), full_at_s - now_s)

    def _headers(self, left: int, seconds: float) -> dict[str, str]:
        return {
            "RateLimit-Policy": f'"{POLICY}";q={self._quota};w={WINDOW_S}',
            "RateLimit": f'"{POLICY}";r={left};t={max(1, round(seconds))}',
        }

    def _forget(self, now_s: float) -> None:
        if len(self._full_at_s) < USERS_MAX:
            return
        self._full_at_s = {one: at_s for one, at_s in self._full_at_s.items() if at_s > now_s}
