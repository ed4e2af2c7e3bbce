"""Request rates of users and peers, with RateLimit fields (IETF draft ratelimit-headers).

Every response to an authenticated user has the remaining quota, so that a program can slow down
before it is refused. Each process counts by itself.
"""

from collections.abc import Callable

from aiohttp import web

from api.problems import too_many
from edge.token_bucket import WINDOW_S, TokenBuckets

POLICY = "user"
RATES = web.RequestKey("rates", dict)


class RequestRates:
    """Token buckets of `quota` requests a minute; 0: unlimited."""

    def __init__(self, quota: int, clock_s: Callable[[], float], *, policy: str = POLICY) -> None:
        self._policy = policy
        self._quota = quota
        self._buckets = TokenBuckets(quota or 1, clock_s)

    def take(self, key: str) -> dict[str, str]:
        """Count a request; return its RateLimit fields. Raises Problem 429 with the same fields."""
        if not self._quota:
            return {}
        wait_s = self._buckets.try_take(key)
        if wait_s:
            refused = too_many("Too many requests; wait.", wait_s)
            refused.headers |= self._headers(0, wait_s)
            raise refused
        return self._headers(self._buckets.remaining(key), self._buckets.full_in_s(key))

    def _headers(self, remaining: int, seconds: float) -> dict[str, str]:
        return {
            "RateLimit-Policy": f'"{self._policy}";q={self._quota};w={WINDOW_S}',
            "RateLimit": f'"{self._policy}";r={remaining};t={max(1, round(seconds))}',
        }
