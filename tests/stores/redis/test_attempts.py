"""Attempts on a real Redis: the contract suite, many clients, and a server that goes away."""

import asyncio
import signal

import pytest

from edge.sign_in.attempts_in_outage import AttemptsInOutage
from mail.errors import StoreUnavailable
from stores.redis.attempts import RedisAttempts
from stores.redis.client import RedisClient
from tests.contracts.attempts import WINDOW_MS, AttemptsContract, attempt, limit

KEPT_MS = 3_600_000


@pytest.fixture
def attempts(client: RedisClient) -> RedisAttempts:
    return RedisAttempts(client, kept_ms=KEPT_MS)


class TestRedisAttempts(AttemptsContract):
    pass


async def test_of_many_edges_at_once_no_more_pass_than_the_limit_allows(server, attempts) -> None:
    clients = [RedisClient.open(server.config) for _ in range(4)]
    edges = [RedisAttempts(each, kept_ms=KEPT_MS) for each in clients]
    begun = (edges[n % 4].begin(attempt(n), [limit("peer", 9)]) for n in range(200))
    assert sum(wait == 0 for wait in await asyncio.gather(*begun)) == 9
    for each in clients:
        await each.close()


async def test_a_set_expires_when_nothing_was_added_for_the_longest_window(client) -> None:
    ttl = client.script("return redis.call('PTTL', KEYS[1])")
    attempts = RedisAttempts(client, kept_ms=WINDOW_MS)
    await attempts.begin(attempt(1), [])
    assert WINDOW_MS < await ttl(["attempts:peer"], []) <= WINDOW_MS + 60_000


async def test_prune_walks_over_more_keys_than_one_step_has(attempts) -> None:
    for number in range(60):
        await attempts.begin(attempt(number, *(f"{number}-{n}" for n in range(50))), [])
    assert await attempts.prune(before_ms=attempt(0).at_ms + 1) == 3000


async def test_counts_outlive_the_server_and_a_process_counts_alone_while_it_is_away(
    server, client, attempts
) -> None:
    for number in range(8):
        assert await attempts.begin(attempt(number), [limit("peer", 8)]) == 0
    now_s = [0.0]
    persistence = client.script("return redis.call('INFO', 'persistence')")
    edge = AttemptsInOutage(attempts, lambda: now_s[0])
    async with asyncio.timeout(60):
        while "changes_since_last_save:0\r" not in await persistence([], []):
            await asyncio.sleep(0.1)
    server.stop(signal.SIGKILL)
    try:
        with pytest.raises(StoreUnavailable):
            await attempts.wait_ms([limit("peer", 8)], at_ms=attempt(0).at_ms)
        waits = [await edge.begin(attempt(n), [limit("peer", 8)]) for n in range(20, 24)]
        assert [wait == 0 for wait in waits] == [True, True, False, False], "a quarter of 8"
    finally:
        await asyncio.to_thread(server.start)
    now_s[0] += 2
    assert await edge.begin(attempt(30), [limit("peer", 8)]) == WINDOW_MS, "the 8 from before"
