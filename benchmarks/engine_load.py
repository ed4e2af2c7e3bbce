"""Requests to the engines of the distributed profile, as each engine counts them."""

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.request import urlopen

from redis import Redis

from benchmarks.stack import Stack
from cli.wiring.cassandra_stores import owner_config
from stores.cassandra.session import CassandraSession

TASKS = "SELECT kind FROM system_views.sstable_tasks"
SETTLED_S = 5.0
CLIENTS = "SELECT request_count FROM system_views.clients"
POOLS = ("write", "search", "get")


async def requests(stack: Stack) -> dict[str, int]:
    """Requests since each engine started; nothing for an embedded stack.

    Cassandra counts those of connections that are open. For S3: objects that were written.
    """
    if stack.config.profile != "distributed":
        return {}
    session = await CassandraSession.open(owner_config(stack.config))
    try:
        rows = await session.read_at_once(CLIENTS)
    finally:
        await session.close()
    return {
        "cassandra": sum(count for (count,) in rows),
        "opensearch": _opensearch(stack.config.opensearch_port),
        "redis": _redis(stack.home / "run" / "redis.sock"),
        "versitygw": sum(file.is_file() for file in (stack.home / "objects").rglob("*")),
    }


async def settled(stack: Stack) -> None:
    """Wait until Cassandra compacts nothing, for SETTLED_S."""
    if stack.config.profile != "distributed":
        return
    session = await CassandraSession.open(owner_config(stack.config))
    try:
        calm_since_s = time.monotonic()
        while time.monotonic() - calm_since_s < SETTLED_S:
            await asyncio.sleep(0.5)
            if await session.read_at_once(TASKS):
                calm_since_s = time.monotonic()
    finally:
        await session.close()


def _redis(socket: Path) -> int:
    with Redis(unix_socket_path=str(socket)) as client:
        return int(client.info("stats")["total_commands_processed"])


def _opensearch(port: int) -> int:
    with urlopen(f"http://127.0.0.1:{port}/_nodes/stats/thread_pool") as answer:
        nodes = json.load(answer)["nodes"].values()
    return sum(node["thread_pool"][pool]["completed"] for node in nodes for pool in POOLS)


def per_mail(before: Mapping[str, int], after: Mapping[str, int], mails: int) -> dict[str, float]:
    return {name: round((after[name] - before[name]) / mails, 2) for name in after}
