"""Request rates of users and peers, with RateLimit fields (IETF draft ratelimit-headers).

Every response to an authenticated user has the remaining quota, so that a program can slow down
before it is refused. Who counts depends on the tokens: this process, or all processes together.
"""

from aiohttp import web

from api.problems import too_many
from edge.token_bucket import WINDOW_S
from mail.ports import RequestTokens

POLICY = "user"
RATES = web.RequestKey("rates", dict)


class RequestRates:
    """Requests for which there are `tokens`; None: unlimited."""

    def __init__(self, tokens: RequestTokens | None, *, policy: str = POLICY) -> None:
        self._policy = policy
        self._tokens = tokens

    async def take(self, key: str) -> dict[str, str]:
        """Count a request; return its RateLimit fields. Raises Problem 429 with the same fields."""
        if self._tokens is None:
            return {}
        taken = await self._tokens.take(key)
        if not taken.tokens:
            refused = too_many("Too many requests; wait.", taken.wait_s)
            refused.headers |= self._headers(self._tokens.quota, 0, taken.wait_s)
            raise refused
        return self._headers(self._tokens.quota, taken.remaining, taken.full_in_s)

    def _headers(self, quota: int, remaining: int, seconds: float) -> dict[str, str]:
        return {
            "RateLimit-Policy": f'"{self._policy}";q={quota};w={WINDOW_S}',
            "RateLimit": f'"{self._policy}";r={remaining};t={max(1, round(seconds))}',
        }
