"""The first screen on Cassandra: latency and CPU of the edge, against a copy of it in Redis.

`python -m benchmarks.first_screen [--mails N ...] [--calls N] [--folder DIR]`, from the root of the
checkout. One Cassandra node and one Redis are started. CPU is that of this process: the handler and
its drivers, without HTTP. A copy is the JSON that an edge would keep, valid while the mailbox has
the same seq, so a hit reads the state too. A miss also asks Redis and writes the copy.

A copy serves only a user who opens the first screen twice without any change in between: no mail
came, and the first time nothing was read. With openings and arrivals at random that is the square
of openings / (openings + mails); the last table has the mean of hits and misses.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import uvloop
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from api.context import AuthenticatedRequest
from api.http.authentication import AuthenticatedUser
from api.rest.me import own_account
from api.rest.message_lists import list_messages
from api.rest.responses import json_response
from api.rest.start import get_start
from benchmarks.fixtures import delivery
from cli.wiring.cassandra_stores import schemas, secret_name
from schemas.directory import Session
from schemas.ids import DomainId, UserId
from stack.secrets import known
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.migrations import check_versions
from stores.cassandra.session import CassandraSession, ClusterConfig
from stores.redis.client import RedisClient, Script
from tests.support.cassandra import CassandraNode, prepare_cluster
from tests.support.edge_world import World
from tests.support.redis import RedisServer

GET, SET = "return redis.call('GET', KEYS[1])", "redis.call('SET', KEYS[1], ARGV[1])"
KEY = "benchmark"
WORKERS = 8  # callers at once of the second figure
OWNER, PROCESS = "setup", "api"  # roles
Call = Callable[[], Awaitable[object]]
Handler = Callable[[AuthenticatedRequest], Awaitable[web.StreamResponse]]


class Copy(msgspec.Struct):
    """An answer whose parts are copies."""

    me: object
    copy: msgspec.Raw


@contextmanager
def engines(folder: Path) -> Iterator[tuple[ClusterConfig, RedisServer]]:
    """The configuration of the owner of the tables, and a server."""
    with CassandraNode(folder / "cassandra") as node, RedisServer(folder / "redis") as redis:
        password = "owner's"  # noqa: S105
        yield (
            ClusterConfig(port=node.port, user=OWNER, password=password, keyspace="bench"),
            redis,
        )


async def opened(owner: ClusterConfig, folder: Path) -> CassandraSession:
    """A session of a process, on all tables."""
    await prepare_cluster(owner, folder)
    password = known(folder, secret_name(PROCESS)) or ""
    session = await CassandraSession.open(replace(owner, user=PROCESS, password=password))
    await check_versions(session, schemas())
    return session


@dataclass(frozen=True, slots=True)
class Figure:
    """Of one call: the median and the 95th percentile, and the CPU of this process."""

    p50_ms: float
    p95_ms: float
    cpu_ms: float


async def measure(name: str, call: Call, calls: int) -> Figure:
    """Measure and print one caller; then WORKERS callers at once."""
    for _ in range(max(5, calls // 10)):
        await call()
    took_ms = []
    cpu_s = time.process_time()
    for _ in range(calls):
        began_s = time.perf_counter()
        await call()
        took_ms.append((time.perf_counter() - began_s) * 1000)
    cpu_ms = (time.process_time() - cpu_s) / calls * 1000
    took_ms.sort()
    figure = Figure(took_ms[calls // 2], took_ms[calls * 95 // 100], cpu_ms)

    async def work() -> None:
        for _ in range(calls // WORKERS):
            await call()

    wall_s = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(WORKERS)))
    per_s = calls // WORKERS * WORKERS / (time.perf_counter() - wall_s)
    print(
        f"{name:48} p50 {figure.p50_ms:6.2f} ms  p95 {figure.p95_ms:6.2f} ms"
        f"  CPU {cpu_ms:6.2f} ms  {WORKERS} at once {per_s:5.0f}/s",
        flush=True,
    )
    return figure


def print_means(without: Figure, hit: Figure, redis: Figure) -> None:
    """For users with some mails and openings a day; `redis`: a GET and a SET of the copy."""
    for mails, openings in ((100, 20), (30, 10), (10, 10), (3, 10)):
        rate = (openings / (openings + mails)) ** 2
        p50, cpu = (
            rate * of_hit + (1 - rate) * (of_miss + more)
            for of_hit, of_miss, more in (
                (hit.p50_ms, without.p50_ms, redis.p50_ms),
                (hit.cpu_ms, without.cpu_ms, redis.cpu_ms),
            )
        )
        print(
            f"   {mails:3} mails, {openings} openings a day: {rate:4.0%} hits; p50 {p50:5.2f} ms"
            f" instead of {without.p50_ms:5.2f}, CPU {cpu:5.2f} instead of {without.cpu_ms:5.2f}"
        )


def request_of(world: World, name: str, path: str) -> AuthenticatedRequest:
    """A request of this user, as the route hands it to a handler."""
    user = world._user(name, "")  # noqa: SLF001
    session = Session(token_sha256="", user_id=name, expires_at_ms=2_000_000_000_000)
    return AuthenticatedRequest(
        context=world.context,
        request=make_mocked_request("GET", path),
        caller=AuthenticatedUser(user=user, session=session),
    )


async def screens(world: World, get: Script, set_: Script, name: str, calls: int) -> None:
    """Measure both answers of a user, with and without a copy."""
    store, user_id = world.store, UserId(name)
    start = request_of(world, name, "/v1/start")
    inbox = request_of(world, name, "/v1/messages?limit=50")
    settings = (await store.settings(user_id)).settings

    for what, call, handler in (("start", start, get_start), ("50 rows", inbox, list_messages)):
        response = await handler(call)
        assert isinstance(response, web.Response)
        answer = response.body
        assert isinstance(answer, bytes)
        key, text = f"{KEY}:{name}:{what}", answer.decode()

        async def without(call: AuthenticatedRequest = call, handler: Handler = handler) -> None:
            await handler(call)

        async def hit(key: str = key, what: str = what) -> None:
            await store.state(user_id)
            copy = msgspec.Raw((await get([key], [])).encode())
            me = await own_account(start, settings) if what == "start" else None
            json_response(Copy(me, copy))

        async def miss(key: str = key, text: str = text) -> None:
            await get([key], [])
            await set_([key], [text])

        now = await measure(f"{what}, {len(answer) / 1024:.0f} KiB, Cassandra", without, calls)
        await miss()
        found = await measure(f"{what}, state and a copy from Redis", hit, calls)
        print_means(now, found, await measure(f"{what}, a GET and a SET", miss, calls))


async def usages(store: CassandraMailStore, get: Script, set_: Script, calls: int) -> None:
    await set_([KEY], ["4711 12"])
    await measure("state of a mailbox", lambda: store.state(UserId("alice")), calls)
    await measure("usage of a domain", lambda: store.domain_usage(DomainId("d1")), calls)
    await measure("usage, one GET", lambda: get([KEY], []), calls)


async def fill(store: CassandraMailStore, name: str, mails: int) -> None:
    began_s = time.perf_counter()
    await store.commit_all([delivery(name, seq) for seq in range(1, mails + 1)])
    print(f"-- {mails:,} mails, written in {time.perf_counter() - began_s:.0f} s", flush=True)


async def main(
    owner: ClusterConfig, redis: RedisServer, folder: Path, mails: list[int], calls: int
) -> None:
    session = await opened(owner, folder)
    client = RedisClient.open(redis.config)
    get, set_ = client.script(GET), client.script(SET)
    store = CassandraMailStore(session)
    world = World(store=store)  # type: ignore[arg-type]  (an API over any mail store)
    await world.open()
    for name, count in zip(("alice", "bob"), mails, strict=False):
        await fill(store, name, count)
        await screens(world, get, set_, name, calls)
    await usages(store, get, set_, calls)
    await world.close()
    await client.close()
    await session.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, nargs="+", default=[1_000, 20_000])
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as fresh,
        engines(Path(fresh)) as (cluster, server),
    ):
        uvloop.run(main(cluster, server, Path(fresh) / "home", options.mails, options.calls))
