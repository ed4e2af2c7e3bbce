"""What every Attempts does. Inherit, give an `attempts` fixture, and the adapter is held to it."""

import asyncio

from mail.ports import CLOCK_SKEW_MS
from schemas.directory import AttemptLimit, CountedAttempt

NOW_MS, WINDOW_MS = 1_000_000, 1_000


def attempt(number: int, *keys: str, at_ms: int = NOW_MS) -> CountedAttempt:
    return CountedAttempt(attempt_id=f"a{number}", at_ms=at_ms, keys=keys or ("peer",))


def limit(key: str, most: int) -> AttemptLimit:
    return AttemptLimit(key=key, most=most, window_ms=WINDOW_MS)


class AttemptsContract:
    async def test_as_many_begin_as_the_limit_says_and_the_next_is_told_how_long_to_wait(
        self, attempts
    ):
        for number in range(3):
            begun = attempt(number, at_ms=NOW_MS + number * 100)
            assert await attempts.begin(begun, [limit("peer", 3)]) == 0
        late_ms = NOW_MS + 300
        assert await attempts.wait_ms([limit("peer", 3)], at_ms=late_ms) == 700
        assert await attempts.begin(attempt(9, at_ms=late_ms), [limit("peer", 3)]) == 700
        assert await attempts.wait_ms([limit("peer", 4)], at_ms=late_ms) == 0, "it was not counted"
        later_ms = NOW_MS + WINDOW_MS
        assert await attempts.begin(attempt(4, at_ms=later_ms), [limit("peer", 3)]) == 0
        assert await attempts.begin(attempt(5, at_ms=later_ms), [limit("peer", 3)]) == 100

    async def test_one_limit_of_several_is_enough_and_then_nothing_is_counted(self, attempts):
        await attempts.begin(attempt(1, "address"), [])
        limits = [limit("peer", 5), limit("address", 1)]
        assert await attempts.begin(attempt(2, "peer", "address"), limits) == WINDOW_MS
        assert await attempts.wait_ms([limit("peer", 1)], at_ms=NOW_MS) == 0
        assert await attempts.wait_ms([limit("another", 1)], at_ms=NOW_MS) == 0

    async def test_of_many_at_once_no_more_pass_than_the_limit_allows(self, attempts):
        begun = (attempts.begin(attempt(n), [limit("peer", 4)]) for n in range(20))
        waits = await asyncio.gather(*begun)
        assert sum(wait == 0 for wait in waits) == 4

    async def test_what_is_withdrawn_does_not_count(self, attempts):
        both = attempt(1, "peer", "address")
        await attempts.begin(both, [])
        await attempts.withdraw(both)
        await attempts.withdraw(both)
        for key in both.keys:
            assert await attempts.wait_ms([limit(key, 1)], at_ms=NOW_MS) == 0

    async def test_a_clock_that_was_set_back_locks_for_one_window_at_most(self, attempts):
        ahead_ms = NOW_MS + CLOCK_SKEW_MS
        await attempts.begin(attempt(1, at_ms=ahead_ms), [])
        assert await attempts.wait_ms([limit("peer", 1)], at_ms=NOW_MS) == WINDOW_MS
        await attempts.begin(attempt(2, "other", at_ms=ahead_ms + 1), [])
        assert await attempts.wait_ms([limit("other", 1)], at_ms=NOW_MS) == 0

    async def test_old_ones_are_pruned_and_no_others(self, attempts):
        await attempts.begin(attempt(1, "peer", "address", at_ms=NOW_MS - 1), [])
        await attempts.begin(attempt(2, "peer"), [])
        assert await attempts.prune(before_ms=NOW_MS) == 2
        assert await attempts.prune(before_ms=NOW_MS) == 0
        assert await attempts.wait_ms([limit("peer", 1)], at_ms=NOW_MS) == WINDOW_MS
