"""Latency and CPU of HTTP calls for mailboxes of different sizes, in a whole stack.

One client sends one request at a time over loopback. CPU is that of the api process, per response.
"""

import random
import time
from collections.abc import Sequence
from typing import Any

import aiohttp

from benchmarks.end_to_end import percentiles
from benchmarks.processes import Meter
from benchmarks.stack import Stack

PAGE = 50


async def measure_calls(
    stack: Stack,
    filled: dict[int, str],
    *,
    calls: int,
    words: Sequence[str] = (),
    warm_up: int = 0,
) -> list[dict[str, Any]]:
    """Return one row for each kind of call and size of mailbox; searches are for `words`.

    `warm_up`: calls of each kind before those that are measured, for engines that compile.
    """
    return [
        row
        for mails, token in filled.items()
        for row in await _mailbox(stack, token, mails, (warm_up, calls), words)
    ]


async def _mailbox(
    stack: Stack, token: str, mails: int, calls: tuple[int, int], words: Sequence[str]
) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(stack.config.http_url, headers=headers) as client:
        listing = "/v1/folders/inbox/messages"
        first = await _json(client, listing)
        ids = [row["id"] for row in first["messages"]]
        deep = await _deep_cursor(client, listing, mails)
        calls_by_name = {
            "folders": ["/v1/folders"],
            "list": [f"{listing}?limit={PAGE}"],
            "list, deep": [f"{listing}?limit={PAGE}&cursor={deep}"],
            "get": [f"/v1/messages/{id_}" for id_ in ids],
            "search": [f"/v1/search?q={word}&limit={PAGE}" for word in words],
        }
        return [
            {"mails": mails, "call": name, **await _measure(stack, client, paths, *calls)}
            for name, paths in calls_by_name.items()
            if paths
        ]


async def _deep_cursor(client: aiohttp.ClientSession, listing: str, mails: int) -> str:
    """Return a cursor after half of the mailbox, or 10,000 mails if that is less."""
    cursor = ""
    for _ in range(max(1, min(mails // 2, 10_000) // 500)):
        page = await _json(client, f"{listing}?limit={min(500, mails // 2)}{cursor}")
        cursor = f"&cursor={page['next_cursor']}"
    return cursor.removeprefix("&cursor=")


async def _measure(
    stack: Stack, client: aiohttp.ClientSession, paths: list[str], warm_up: int, calls: int
) -> dict[str, float]:
    chance = random.Random(calls)  # noqa: S311 no secrets here
    for _ in range(warm_up):
        await _json(client, chance.choice(paths))
    took_ms = []
    meter = Meter({"api": stack.pids()["api"]})
    for _ in range(calls):
        began_s = time.perf_counter()
        await _json(client, chance.choice(paths))
        took_ms.append((time.perf_counter() - began_s) * 1000)
    return {**percentiles(took_ms), "cpu_ms": round(meter.spent_ms()["api"] / calls, 2)}


async def _json(client: aiohttp.ClientSession, path: str) -> Any:
    async with client.get(path) as response:
        response.raise_for_status()
        return await response.json()
