"""What every RequestTokens does. Inherit, give a `make_tokens` fixture: tokens of a quota.

Time is real: a bucket refills while a test runs, at a known rate.
"""

import asyncio
import time

from mail.ports import REFILL_S


class RequestTokensContract:
    async def test_a_bucket_gives_its_quota_and_then_says_how_long_to_wait(self, make_tokens):
        tokens = make_tokens(3)
        assert tokens.quota == 3
        taken = [await tokens.take("ann") for _ in range(3)]
        assert [(each.tokens, each.remaining, each.wait_s) for each in taken] == [
            (1, 2, 0), (1, 1, 0), (1, 0, 0),
        ]  # fmt: skip
        assert 0 < taken[0].full_in_s <= 20 < taken[1].full_in_s <= 40 < taken[2].full_in_s <= 60
        refused = await tokens.take("ann")
        assert (refused.tokens, refused.remaining) == (0, 0)
        assert 0 < refused.wait_s <= 20
        assert (await tokens.take("bob")).remaining == 2

    async def test_as_many_are_taken_as_there_are(self, make_tokens):
        tokens = make_tokens(3)
        assert (await tokens.take("ann", most=2)).tokens == 2
        assert (await tokens.take("ann", most=9)).tokens == 1
        assert (await tokens.take("ann", most=9)).tokens == 0
        assert (await tokens.take("bob", most=9)).tokens == 3

    async def test_of_many_at_once_no_more_are_taken_than_there_are(self, make_tokens):
        tokens = make_tokens(5)
        taken = await asyncio.gather(*(tokens.take("ann") for _ in range(30)))
        assert sum(each.tokens for each in taken) == 5

    async def test_tokens_come_back_at_the_rate_of_the_quota(self, make_tokens):
        quota = 60_000
        tokens, began_s = make_tokens(quota), time.monotonic()
        total = (await tokens.take("ann", most=quota)).tokens
        assert total == quota
        while total < quota + 20:
            total += (await tokens.take("ann")).tokens
        assert total - quota <= (time.monotonic() - began_s) * quota / REFILL_S + 1
