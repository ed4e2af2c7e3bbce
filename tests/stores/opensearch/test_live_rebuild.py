"""The index is filled again while mail comes, goes and is searched, on a real OpenSearch."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agents.index import index as handle
from agents.mailbox import mailbox
from agents.ports import IndexPorts
from mail.errors import StoreUnavailable
from mail.ids import message_id, new_id
from mail.query.planner import IndexQuery
from mail.query.tree import EVERYTHING, WordsNode
from operations.rebuild import rebuild_whole_index
from schemas.events.mailbox_commands import DestroyMessages
from schemas.mailbox import TRASH
from schemas.search import IndexedTo
from stores.memory import MemoryContentStore, MemoryMailStore
from stores.memory.search_index import MemorySearchIndex
from stores.opensearch.client import SearchClusterConfig
from stores.opensearch.generations import Generation
from stores.opensearch.index import OpenSearchIndex
from tests.contracts.search_cases import document
from tests.support.agent_builders import OneTry, deliver, mailbox_ports, order

pytestmark = [pytest.mark.distributed, pytest.mark.timeout(600)]
USERS = ("ann", "bob", "kim")
FIRST_MAILS = 40  # of each user
ALL_MAX = 1_000


@pytest.fixture
async def config(config: SearchClusterConfig) -> SearchClusterConfig:
    """Indices of this test alone."""
    return replace(config, prefix=f"live-{new_id()}", retired_for_s=5.0)


@pytest.fixture
async def indices(config: SearchClusterConfig) -> AsyncIterator[list[OpenSearchIndex]]:
    """Those of two workers, of an edge, and of two processes that rebuild."""
    opened = [OpenSearchIndex(config) for _ in range(5)]
    yield opened
    client = opened[0]._client
    for name in await client.aliases(f"{config.prefix}-*"):
        await client.delete_index(name)
    for each in opened:
        await each.close()


class Traffic:
    """Mail of one user: delivered and destroyed, indexed by either worker, searched by the edge."""

    def __init__(self, user: str, ports: list[IndexPorts], boxes, edge: OpenSearchIndex) -> None:
        self.user = user
        self.findable: list[str] = []  # mail ids whose event was handled
        self.searches = 0
        self.missed: list[str] = []
        self._ports = ports
        self._boxes = boxes
        self._edge = edge
        self._generator = random.Random(user)
        self._offset = 0

    async def deliver(self) -> None:
        mail_id = f"{self.user}{self._offset}"
        content = f"Subject: x\r\n\r\nword{mail_id}\r\n".encode()
        await self._ports[0].contents.put(mail_id, content)
        await self._handle(deliver(mail_id, user_id=self.user, folder_id=TRASH))
        self.findable.append(mail_id)

    async def destroy(self) -> None:
        mail_id = self.findable.pop(self._generator.randrange(len(self.findable)))
        await self._handle(
            order(
                DestroyMessages,
                f"{mail_id} goes",
                mail_id,
                user_id=self.user,
                unchanged_since_seq=10**6,
            )
        )

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            is_delivery = len(self.findable) < 5 or self._generator.random() < 0.6
            await (self.deliver() if is_delivery else self.destroy())

    async def search(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            mail_id = self._generator.choice(self.findable)
            query = IndexQuery(text=WordsNode((f"word{mail_id}",)))
            found = await self._edge.find(self.user, query, limit=9)
            self.searches += 1
            ids = [id_ for _, id_ in found.positions]
            if mail_id in self.findable and ids != [message_id(mail_id, self.user)]:
                self.missed.append(mail_id)

    async def _handle(self, command) -> None:
        attempt = OneTry(offset=self._offset)
        self._offset += 1
        event, *_ = await mailbox(command, attempt, self._boxes)  # at times a fold is ordered too
        *workers, memory = self._ports
        await handle(event, attempt, memory)
        worker = self._generator.choice(workers)
        while True:
            try:
                await handle(event, attempt, worker)
            except StoreUnavailable:  # as the worker does: hold, and try again
                await asyncio.sleep(0.1)
            else:
                return


@asynccontextmanager
async def under_way(users: list[Traffic]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Mail comes, goes and is searched within the block; what fails there is raised."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        yield [
            group.create_task(task)
            for user in users for task in (user.run(stop), user.search(stop))
        ]  # fmt: skip
        stop.set()


async def cut_short(config: SearchClusterConfig, ports: IndexPorts, seen: OpenSearchIndex) -> None:
    """Begin a rebuild, and end it when its index is written."""
    whole = OpenSearchIndex(config)
    rebuild = asyncio.create_task(rebuild_whole_index(USERS, ports, whole))
    while Generation(2, config.prefix) not in await seen._generations.written():
        await asyncio.sleep(0.01)
    rebuild.cancel()
    await asyncio.wait([rebuild])
    await whole.close()
    assert await seen._generations.current() == Generation(1, config.prefix)


async def everything(index, user: str) -> list[str]:
    found = await index.find(user, IndexQuery(text=EVERYTHING), limit=ALL_MAX)
    return sorted(id_ for _, id_ in found.positions)


async def test_no_search_misses_mail_while_the_index_is_filled_again(config, indices) -> None:
    *workers, edge, one, two = indices
    store, contents = MemoryMailStore(), MemoryContentStore()
    memory = MemorySearchIndex()
    ports = [
        IndexPorts(store=store, contents=contents, search=search) for search in (*workers, memory)
    ]
    users = [Traffic(user, ports, mailbox_ports(store=store), edge) for user in USERS]
    for user in users:
        for _ in range(FIRST_MAILS):
            await user.deliver()
    async with under_way(users) as tasks:
        await cut_short(config, ports[0], one)
        rebuilds = (rebuild_whole_index(USERS, ports[0], whole) for whole in (one, two))
        await asyncio.gather(*rebuilds)
        filling = await one._generations.current()
        assert filling == Generation(2, config.prefix)
        searched = sum(user.searches for user in users)
        while sum(user.searches for user in users) < searched + 50:
            assert not any(task.done() for task in tasks)
            await asyncio.sleep(0.05)

    assert [user.missed for user in users] == [[], [], []]
    assert searched > 20
    for user in users:
        expected = sorted(message_id(mail_id, user.user) for mail_id in user.findable)
        assert await everything(memory, user.user) == expected
        assert await everything(edge, user.user) == expected, "the others left the index too"
    names = await one._client.aliases(f"{config.prefix}-*")
    assert set(names) == {filling.index("search"), filling.index("progress")}
    assert await edge.unfilled() == []


async def test_users_of_an_older_version_are_filled_again(config, indices) -> None:
    index = indices[0]
    client = index._generations._client
    mapping = {"mappings": {"properties": {"user": {"type": "keyword"}}}}
    await client.create_index(f"{config.prefix}-progress-1", mapping)
    for user in USERS:
        await client._client.index(
            index=f"{config.prefix}-progress-1", id=user, body={"user": user},
            params={"refresh": "true"},
        )  # fmt: skip
    (change,) = await index.planned()
    assert (change.found, change.version) == (1, 2)
    assert await index.migrate() == [change]
    assert (await index.planned(), await indices[1].migrate()) == ([], [])
    assert await indices[1].unfilled() == sorted(USERS)
    await index.mark_filled("ann", IndexedTo("e", 1))
    assert await indices[1].unfilled() == ["bob", "kim"]
    await indices[1].begin()
    assert f"{config.prefix}-progress-1" in await client.aliases(f"{config.prefix}-*")
    await indices[1].switch()
    second = Generation(2, config.prefix)
    left = await client.aliases(f"{config.prefix}-*")
    assert set(left) == {second.index("search"), second.index("progress")}


async def test_an_index_that_is_gone_is_not_made_by_a_write(config, indices) -> None:
    index = indices[0]
    await index.add(document("a", body="x"))
    client = index._client
    for name in await client.aliases(f"{config.prefix}-*"):
        await client.delete_index(name)
    for write in (
        index.add(document("b", body="x")),
        index.remove("ann", document("a").message_id),
        index.mark_indexed("ann", IndexedTo("e", 1)),
        index.clear("ann"),
    ):
        with pytest.raises(StoreUnavailable, match="was deleted"):
            await write
    assert await client.aliases(f"{config.prefix}-*") == {}
