"""What the searches of one user may cost the others: one at a time, and a share of the time.

The index has a thread for a sixteenth of all users. A search holds it for the time of
mail/query/time_budget.py at most: so whoever searches waits for one search of each other user, and
not for all that one of them sends.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from api.config import ApiConfig
from api.problems import too_many
from edge.token_bucket import TokenBuckets
from mail.query.time_budget import TimeBudget


class SearchTime:
    """Counted in this process. Of a user without searches nothing but the share is remembered."""

    def __init__(self, config: ApiConfig, clock_s: Callable[[], float]) -> None:
        self._config = config
        self._shares = TokenBuckets(config.search_s_per_minute, clock_s)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._asking: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, user_id: str) -> AsyncIterator[TimeBudget]:
        """The time of one search, when it is its turn. 429: the user has too many, or had."""
        if self._asking[user_id] >= self._config.searches_per_user:
            raise too_many("Too many searches at once.", self._config.retry_after_s)
        self._asking[user_id] += 1
        try:
            async with self._turns[user_id], self._charged(user_id) as budget:
                yield budget
        finally:
            self._asking[user_id] -= 1
            if not self._asking[user_id]:
                del self._asking[user_id], self._turns[user_id]

    @asynccontextmanager
    async def _charged(self, user_id: str) -> AsyncIterator[TimeBudget]:
        over_s = self._shares.empty_for_s(user_id)
        if over_s > 0:
            raise too_many("Your searches have taken too much time; wait.", over_s)
        budget = TimeBudget()
        try:
            yield budget
        finally:
            self._shares.take(user_id, budget.spent_s)
