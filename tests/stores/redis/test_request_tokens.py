"""Tokens for requests on a real Redis: the contract suite, many edges, expiry, an outage."""

import asyncio
import signal

import pytest

from edge.request_tokens import TokenBatches, TokensInOutage
from mail.errors import StoreUnavailable
from stores.redis.client import RedisClient
from stores.redis.request_tokens import RedisTokens
from tests.contracts.request_tokens import RequestTokensContract


class TestRedisTokens(RequestTokensContract):
    @pytest.fixture
    def make_tokens(self, client):
        return lambda quota: RedisTokens(client, "user", quota)


async def test_edges_admit_the_limit_together_and_limits_do_not_share_buckets(
    server, client
) -> None:
    clients = [RedisClient.open(server.config) for _ in range(4)]
    edges = [TokenBatches(RedisTokens(each, "user", 400)) for each in clients]
    taken = await asyncio.gather(*(edges[n % 4].take("ann") for n in range(1_000)))
    tokens = sum(each.tokens for each in taken)
    assert 400 - 4 * edges[0].batch <= tokens <= 400 + 40, "40 come back in 6 s"
    peers = RedisTokens(client, "peer", 400)
    assert (await peers.take("ann", most=400)).tokens == 400
    for each in clients:
        await each.close()


async def test_a_bucket_expires_when_it_is_full(client) -> None:
    ttl = client.script("return redis.call('PTTL', KEYS[1])")
    await RedisTokens(client, "user", 6).take("ann", most=3)
    assert 0 < await ttl(["tokens:user:ann"], []) <= 30_000


async def test_a_clock_that_was_set_back_keeps_nobody_out_for_longer_than_a_window(client) -> None:
    ahead = client.script("redis.call('SET', KEYS[1], '9' .. string.rep('0', 15))")
    await ahead(["tokens:user:ann"], [])
    refused = await RedisTokens(client, "user", 6).take("ann")
    assert (refused.tokens, refused.wait_s) == (0, 10)


async def test_while_redis_is_away_a_process_admits_a_quarter(server, client) -> None:
    shared = RedisTokens(client, "user", 8)
    now_s = [0.0]
    edge = TokensInOutage(shared, lambda: now_s[0])
    assert (await edge.take("ann", most=8)).tokens == 8
    server.stop(signal.SIGKILL)
    try:
        with pytest.raises(StoreUnavailable):
            await shared.take("ann")
        assert (await edge.take("ann", most=8)).tokens == 2
    finally:
        await asyncio.to_thread(server.start)
    now_s[0] += 2
    assert (await edge.take("bob", most=8)).tokens == 8
