"""Tokens for requests: of a process, in an outage, and in batches of several processes."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.outage_switch import ASK_AGAIN_S
from edge.request_tokens import LocalTokens, TokenBatches, TokensInOutage
from mail.errors import StoreUnavailable
from mail.ports import REFILL_S, RequestTokens, TokensTaken
from tests.contracts.request_tokens import RequestTokensContract


class TestLocalTokens(RequestTokensContract):
    @pytest.fixture
    def make_tokens(self):
        return LocalTokens


class TestTokensInOutage(RequestTokensContract):
    """With a shared store that answers, it is that store."""

    @pytest.fixture
    def make_tokens(self):
        return lambda quota: TokensInOutage(LocalTokens(quota))


class TestTokenBatches(RequestTokensContract):
    @pytest.fixture
    def make_tokens(self):
        return lambda quota: TokenBatches(LocalTokens(quota))


class Shared(RequestTokens):
    """A shared store with a clock of the test; it can be away, and counts its calls."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.now_s, self.calls, self.is_away = 1_000.0, 0, False
        self._tokens = LocalTokens(quota, self.clock_s)

    def clock_s(self) -> float:
        return self.now_s

    async def take(self, key: str, *, most: int = 1) -> TokensTaken:
        self.calls += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("away")
        return await self._tokens.take(key, most=most)


async def test_while_the_store_is_away_a_process_admits_a_quarter_and_one_call_a_second_asks(
    caplog,
) -> None:
    shared = Shared(8)
    tokens = TokensInOutage(shared, shared.clock_s)
    shared.is_away = True
    assert [(await tokens.take("ann")).tokens for _ in range(4)] == [1, 1, 0, 0]
    assert shared.calls == 1
    shared.now_s += ASK_AGAIN_S
    await asyncio.gather(*(tokens.take(f"user {n}") for n in range(5)))
    assert shared.calls == 2
    shared.is_away = False
    shared.now_s += ASK_AGAIN_S
    assert (await tokens.take("ann", most=9)).tokens == 8
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "requests are counted by each process alone", "requests are counted together again",
    ]  # fmt: skip


async def test_a_batch_is_spent_without_asking_and_calls_at_once_share_it() -> None:
    shared = Shared(6_000)
    tokens = TokenBatches(shared, shared.clock_s)
    taken = await asyncio.gather(*(tokens.take("ann") for _ in range(60)))
    assert all(each.tokens == 1 for each in taken)
    assert shared.calls == 1
    assert (taken[0].remaining, taken[-1].remaining) == (5_999, 5_940)
    await tokens.take("ann")
    assert shared.calls == 2


async def test_an_empty_bucket_is_not_asked_before_a_token_is_back() -> None:
    shared = Shared(2)
    tokens = TokenBatches(shared, shared.clock_s)
    for _ in range(2):
        await tokens.take("ann")
    waits = [(await tokens.take("ann")).wait_s for _ in range(5)]
    assert (waits, shared.calls) == ([30] * 5, 3)
    shared.now_s += 29
    assert ((await tokens.take("ann")).wait_s, shared.calls) == (1, 3)
    shared.now_s += 1
    assert ((await tokens.take("ann")).tokens, shared.calls) == (1, 4)


async def test_tokens_are_held_for_a_bounded_number_of_keys() -> None:
    shared = Shared(6_000)
    tokens = TokenBatches(shared, shared.clock_s, keys_max=3)
    for number in range(4):
        await tokens.take(str(number))
    await tokens.take("3")
    assert shared.calls == 4
    await tokens.take("0")
    assert shared.calls == 5


@settings(max_examples=50, deadline=None)
@given(
    quota=st.sampled_from([1, 7, 150, 600, 1_000]),
    bursts=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([1, 2, 20, 100]), st.floats(0, 20)),
        max_size=12,
    ),
)
async def test_together_processes_admit_the_limit_and_a_batch_for_each(quota, bursts) -> None:
    """In any time: a bucket of the quota and the batches, which refills as fast, is never empty."""
    shared = Shared(quota)
    processes = [TokenBatches(shared, shared.clock_s) for _ in range(3)]
    most = quota + 3 * processes[0].batch
    allowed = float(most)
    for process, requests, pause_s in bursts:
        taken = await asyncio.gather(*(processes[process].take("ann") for _ in range(requests)))
        allowed -= sum(each.tokens for each in taken)
        assert allowed > -1e-3
        allowed = min(most, allowed + pause_s * quota / REFILL_S)
        shared.now_s += pause_s
