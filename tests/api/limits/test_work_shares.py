"""Work shares: one user's parsing and event loop time does not delay other users."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Self

import aiohttp
import pytest

from api.config import ApiConfig
from api.limits.work_shares import measure_loop_time
from edge.fair_turns import FairTurns, QueueFull
from mail.mime.message_parser import ParsedMessage
from parsing.in_process import InProcessParser
from parsing.pool import ParserPool
from stores.memory import MemoryMailStore
from tests.support.edge_world import PLAIN, World

HTML = b"Subject: h\r\nContent-Type: text/html\r\n\r\n"
SMALL = HTML + b"<a href=x>" * 1_999  # usual structure, still 0.2 s of parsing
LARGE = HTML + b"<b></p>" * 9_900  # 69 KB: 0.4 s of parsing


@pytest.fixture
async def pooled() -> AsyncIterator[World]:
    pool = ParserPool()
    world = World(config=ApiConfig(port=0), parser=pool)
    await world.open()
    yield world
    await world.close()
    await pool.close()


async def opened(client: aiohttp.ClientSession, message_id: str) -> dict:
    async with client.get(f"/v1/messages/{message_id}") as response:
        assert response.status == 200, await response.text()
        return await response.json()


MAILS_MAX = 8


class Heartbeat:
    """The longest time for which the event loop was blocked."""

    longest_s = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        await asyncio.sleep(0.05)
        self.longest_s = 0.0
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _beat(self) -> None:
        while True:
            began_s = time.perf_counter()
            await asyncio.sleep(0.001)
            self.longest_s = max(self.longest_s, time.perf_counter() - began_s)


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
async def test_opening_a_mail_leaves_the_loop_to_others(pooled: World, content: bytes) -> None:
    """Of several mails, as other work of the machine holds the loop up too."""
    plain = await pooled.deliver()
    client = await pooled.signed()
    await opened(client, plain.message_id)
    shares: list[float] = []
    while len(shares) < MAILS_MAX and min(shares, default=1.0) >= 0.5:
        row = await pooled.deliver(content)
        async with Heartbeat() as heart:
            began_s = time.perf_counter()
            assert (await opened(client, row.message_id))["html"]
            shares.append(heart.longest_s / (time.perf_counter() - began_s))
    assert min(shares) < 0.5, shares


class Slow(InProcessParser):
    """A parser that blocks until it is released, to test requests that wait for it."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.begun = 0

    async def shown(self, content: bytes, *, text_max_chars: int) -> ParsedMessage:
        self.begun += 1
        await self.may.wait()
        return await super().shown(content, text_max_chars=text_max_chars)


async def test_one_users_large_mails_hold_up_neither_his_small_ones_nor_others() -> None:
    parser = Slow()
    world = World(config=ApiConfig(port=0, reads_at_once=2, reads_per_user=1), parser=parser)
    await world.open()
    large, small = PLAIN % b"large" + b"x" * 100_000, PLAIN % b"small"
    ids = {}
    for name in ("alice", "bob"):
        ids[name] = [(await world.deliver(mail, name=name)).message_id for mail in (large, small)]
    alice, bob = await world.signed("alice"), await world.signed("bob")
    waiting = [asyncio.create_task(opened(alice, ids["alice"][0])) for _ in range(6)]
    while parser.begun < 1:
        await asyncio.sleep(0.01)
    assert (await opened(alice, ids["alice"][1]))["subject"] == "small"
    assert (await opened(bob, ids["bob"][1]))["subject"] == "small"
    bobs = asyncio.create_task(opened(bob, ids["bob"][0]))
    while parser.begun < 2:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert parser.begun == 2, "one for each"
    parser.may.set()
    assert {message["subject"] for message in await asyncio.gather(bobs, *waiting)} == {"large"}
    assert not world.context.parse_turns._running
    await world.close()


async def test_turns_go_round_and_the_longest_line_gives_way() -> None:
    turns, order = FairTurns(1, 3), []

    async def work(key: str) -> str:
        try:
            async with turns.turn(key):
                order.append(key)
                await asyncio.sleep(0)
        except QueueFull:
            return "crowded"
        return "done"

    async with turns.turn("first"):
        tasks = [asyncio.create_task(work(key)) for key in ("a", "a", "a")]
        await asyncio.sleep(0)
        assert await work("a") == "crowded", "his own line is the longest"
        tasks.append(asyncio.create_task(work("b")))
        await asyncio.sleep(0)
        tasks[0].cancel()
    assert await asyncio.gather(*tasks[1:]) == ["done", "crowded", "done"]
    assert sorted(order) == ["a", "b"]
    async with turns.turn("again"):
        assert turns._free == 0
    assert (turns._free, dict(turns._running), dict(turns._queues)) == (1, {}, {})


async def test_requests_count_by_their_work(make_world) -> None:
    world = await make_world(work_s_per_minute=0.0001)
    await world.deliver()
    client, bob = await world.signed(), await world.signed("bob")
    async with client.get("/v1/messages") as response:
        assert response.status == 200
    async with client.get("/v1/me") as response:
        assert (response.status, (await response.json())["code"]) == (429, "too_many")
        assert int(response.headers["Retry-After"]) >= 1
        assert "r=59" in response.headers["RateLimit"], "hardly any request was made"
    async with bob.get("/v1/me") as response:
        assert response.status == 200


async def test_parsing_counts_too(make_world) -> None:
    world = await make_world(work_s_per_minute=0.15)
    row = await world.deliver(SMALL * 2)
    client = await world.signed()
    before_s = world.context.work_shares._shares.full_in_s("alice")
    await opened(client, row.message_id)
    assert world.context.work_shares._shares.full_in_s("alice") - before_s > 1


async def test_the_time_measure_loop_time_is_that_of_holding_it() -> None:
    charged: list[float] = []

    async def work(end: BaseException | None) -> str:
        time.sleep(0.02)
        await asyncio.sleep(0.2)
        if end:
            raise end
        return "done"

    assert await measure_loop_time(work(None), charged.append) == "done"
    with pytest.raises(RuntimeError, match="broken"):
        await measure_loop_time(work(RuntimeError("broken")), charged.append)
    task = asyncio.ensure_future(measure_loop_time(work(None), charged.append))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(charged) == 3
    assert all(spent_s >= 0.02 for spent_s in charged)
    assert min(charged) < 0.15


class Counting(MemoryMailStore):
    """Counts the steps that are read from journals."""

    requested = 0

    async def journal(self, user_id: str, *, since_seq: int, limit: int):
        self.requested += limit
        return await super().journal(user_id, since_seq=since_seq, limit=limit)


async def test_a_page_of_changes_reads_as_many_steps_as_it_needs() -> None:
    store = Counting()
    world = World(store=store)
    await world.open()
    for _ in range(40):
        await world.deliver()
    client = await world.signed()
    for limit in (1, 5):
        store.requested = 0
        async with client.get(f"/v1/changes?since=3&limit={limit}") as response:
            assert len((await response.json())["changes"]) == limit
        assert store.requested == limit
    await world.close()
