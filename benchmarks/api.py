"""What the edge costs: latency of its answers, over memory and over the embedded stores.

`python -m benchmarks.api [--messages 1000] [--calls 300]`, from the checkout's root. One client
asks one thing at a time over loopback in the edge's process, so its share is in the figures.
`stall` is the longest time that the loop stood still while a 20 MB mail was read.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import uvloop

from agents.mailbox import mailbox
from agents.ports import MailboxPorts
from api.app import make_app, start
from api.config import ApiConfig
from api.ports import ApiPorts
from api.sessions import new_token, token_sha256
from mail.ids import message_id, new_id
from mail.parse import read_head
from schemas.events import Deliver, Position
from schemas.mail import Hop, Verdict
from schemas.records import Domain, Session, User
from stores import memory
from stores.fts import FtsIndex
from stores.local_content import LocalContentStore
from stores.memory_search import MemorySearchIndex
from stores.sqlite_directory import SqliteDirectory
from stores.sqlite_mail import SqliteMailStore

HEADER = b"From: Bob <bob@bench.test>\r\nTo: alice@bench.test\r\nSubject: A mail of the bench\r\n"
SMALL = HEADER + b"\r\n" + b"Some words that make a line of text, no more.\r\n" * 80
BIG = HEADER + b"\r\n" + b"Some words that make a line of text, no more.\r\n" * 430_000
USER = User(user_id="u", domain_id="d", address="alice@bench.test", disabled=False, created_at_ms=0)
POSTMASTER = User(
    user_id="p", domain_id="d", address="postmaster@bench.test", disabled=False, created_at_ms=0
)


class Try:
    """The only try at an event."""

    attempt = 1

    def __init__(self, offset: int) -> None:
        self.position = Position("e", 0, offset)

    def hop(self, verdict: str) -> Hop:
        raise NotImplementedError(verdict)

    def after_publish(self, then: object) -> None:
        """The table is not measured."""


def in_memory() -> ApiPorts:
    return ApiPorts(
        store=memory.MemoryMailStore(),
        contents=memory.MemoryContentStore(),
        directory=memory.MemoryDirectory(),
        search=MemorySearchIndex(),
        publisher=memory.MemoryPublisher(),
        feed=memory.MemoryFeed(),
    )


@asynccontextmanager
async def embedded() -> AsyncIterator[ApiPorts]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = await SqliteMailStore.open(folder / "mail.sqlite")
        directory = await SqliteDirectory.open(folder / "directory.sqlite")
        contents = await LocalContentStore.open(folder / "content")
        yield ApiPorts(
            store=store,
            contents=contents,
            directory=directory,
            search=FtsIndex(folder / "search"),
            publisher=memory.MemoryPublisher(),
            feed=memory.MemoryFeed(),
        )
        for adapter in (store, directory, contents):
            await adapter.close()


async def fill(ports: ApiPorts, contents: list[bytes]) -> list[str]:
    """Deliver, oldest first; gives the message ids."""
    await ports.directory.add_domain(
        Domain(domain_id="d", name="bench.test", created_at_ms=0), POSTMASTER
    )
    await ports.directory.add_user(USER)
    own = MailboxPorts(store=ports.store, unread=memory.MemoryUnread())
    ids = []
    for at, content in enumerate(contents):
        mail_id = new_id()
        ids.append(message_id(mail_id, "u"))
        command = Deliver(
            command_id=new_id(),
            user_id="u",
            domain_id="d",
            message_id=ids[-1],
            mail_id=mail_id,
            folder_id="inbox",
            keywords=(),
            content=await ports.contents.put(mail_id, content),
            received_at_ms=at + 1,
            at_ms=at + 1,
            head=read_head(content),
            verdict=Verdict(outcome="clean"),
            hops=(),
        )
        await mailbox(command, Try(at), own)
    return ids


async def measure(name: str, ports: ApiPorts, *, messages: int, calls: int) -> None:
    ids = await fill(ports, [SMALL] * messages + [BIG])
    token = new_token()
    await ports.directory.add_session(
        Session(token_sha256=token_sha256(token), user_id="u", expires_at_ms=2**45)
    )
    runner, port = await start(make_app(ApiConfig(port=0), ports, list))
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as client:
        for path in (
            "/healthz",
            "/v1/me",
            "/v1/folders",
            "/v1/folders/inbox/messages",
            "/v1/folders/inbox/messages?limit=500",
            f"/v1/messages/{ids[0]}",
        ):
            await report(name, client, path, calls)
        await stall(name, client, f"/v1/messages/{ids[-1]}")
    await runner.cleanup()


async def report(name: str, client: aiohttp.ClientSession, path: str, calls: int) -> None:
    took_ms = []
    cpu_s = time.process_time()
    for _ in range(calls):
        started_s = time.perf_counter()
        async with client.get(path) as response:
            await response.read()
            response.raise_for_status()
        took_ms.append((time.perf_counter() - started_s) * 1000)
    cpu_ms = (time.process_time() - cpu_s) / calls * 1000
    p95_ms = statistics.quantiles(took_ms, n=20)[-1]
    shown = path[:40]
    print(f"{name:8} {shown:42} p50 {statistics.median(took_ms):7.2f} ms  p95 {p95_ms:7.2f} ms")
    print(f"{'':51} CPU {cpu_ms:7.2f} ms")


async def stall(name: str, client: aiohttp.ClientSession, path: str) -> None:
    longest_s = 0.0

    async def tick() -> None:
        nonlocal longest_s
        while True:
            started_s = time.perf_counter()
            await asyncio.sleep(0.001)
            longest_s = max(longest_s, time.perf_counter() - started_s - 0.001)

    ticking = asyncio.create_task(tick())
    started_s = time.perf_counter()
    async with client.get(path) as response:
        await response.read()
    took_ms = (time.perf_counter() - started_s) * 1000
    ticking.cancel()
    print(f"{name:8} read a 20 MB mail: {took_ms:.0f} ms, stall {longest_s * 1000:.0f} ms")


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=300)
    asked = parser.parse_args()
    await measure("memory", in_memory(), messages=asked.messages, calls=asked.calls)
    async with embedded() as ports:
        await measure("embedded", ports, messages=asked.messages, calls=asked.calls)


if __name__ == "__main__":
    uvloop.run(main())
