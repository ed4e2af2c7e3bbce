"""Limits of a user's searches: one at a time, ANSWER_MAX_S, `search_s_per_minute` of index time.

One index thread serves a sixteenth of all users, and a search holds it for at most the time of
mail/query/time_budget.py. So a search waits for at most one search of each other user.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from api.config import ApiConfig
from api.problems import too_many
from edge.token_bucket import TokenBuckets
from mail.errors import StoreUnavailable
from mail.query.time_budget import SEARCH_MAX_S, TimeBudget
from schemas.ids import UserId

ANSWER_MAX_S = 10.0  # of which the index works for SEARCH_MAX_S at most


class SearchTime:
    """Locks and shares by user, in this process; the lock of a user without searches is dropped."""

    def __init__(self, config: ApiConfig, clock_s: Callable[[], float]) -> None:
        self._config = config
        self._shares = TokenBuckets(config.search_s_per_minute, clock_s)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, user_id: UserId) -> AsyncIterator[TimeBudget]:
        """Wait for the user's turn; yield the time budget of one search.

        Raises Problem 429: too many searches wait, or the share is used up. StoreUnavailable: the
        search took longer than ANSWER_MAX_S.
        """
        if self._waiting[user_id] >= self._config.searches_per_user:
            raise too_many("Too many searches at once.", self._config.retry_after_s)
        self._waiting[user_id] += 1
        try:
            async with self._locks[user_id], self._charged(user_id) as budget:
                yield budget
        finally:
            self._waiting[user_id] -= 1
            if not self._waiting[user_id]:
                del self._waiting[user_id], self._locks[user_id]

    @asynccontextmanager
    async def _charged(self, user_id: UserId) -> AsyncIterator[TimeBudget]:
        over_s = self._shares.empty_for_s(user_id)
        if over_s > 0:
            raise too_many("Your searches have taken too much time; wait.", over_s)
        budget = TimeBudget()
        try:
            async with asyncio.timeout(ANSWER_MAX_S):
                yield budget
        except TimeoutError as error:
            raise StoreUnavailable("search", f"no answer within {ANSWER_MAX_S:.0f} s") from error
        finally:  # an engine that does not answer works for no user
            self._shares.take(user_id, min(budget.spent_s, SEARCH_MAX_S))
