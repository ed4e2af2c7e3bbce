"""Index backfill: documents of an older index are added again, and no mail is read twice."""

import asyncio
import sqlite3
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from agents.background.index_backfill import fill, refill
from agents.index import index
from agents.mailbox import mailbox
from agents.ports import IndexPorts
from mail.ids import message_id
from mail.query.planner import IndexQuery
from schemas.events.mailbox_commands import DestroyMessages, TrashMessages
from schemas.sqlite.search import SEARCH
from stores.memory import MemoryContentStore, MemoryMailStore
from stores.memory.search_index import MemorySearchIndex
from stores.sqlite.search.index import SqliteSearchIndex, bucket_of
from tests.support.agent_builders import PLAIN, OneTry, deliver, mailbox_ports, order

FOLDERS = ("inbox", "archive", "junk")


async def filled_store(count: int) -> tuple[MemoryMailStore, MemoryContentStore]:
    store, contents = MemoryMailStore(), MemoryContentStore()
    boxes = mailbox_ports(store=store)
    for n in range(count):
        await contents.put(f"m{n}", PLAIN)
        command = deliver(f"m{n}", folder_id=FOLDERS[n % 3])
        await mailbox(command, OneTry(offset=n), boxes)
    return store, contents


async def found(ports: IndexPorts, user_id: str = "bob") -> set[str]:
    places = (await ports.search.find(user_id, IndexQuery(), limit=500)).positions
    return {id_ for _, id_ in places}


def wanted(count: int) -> set[str]:
    return {message_id(f"m{n}", "bob") for n in range(count)}


async def test_only_what_is_lacking_is_read(caplog) -> None:
    store, contents = await filled_store(200)
    ports = IndexPorts(store=store, contents=contents, search=MemorySearchIndex())
    assert await refill(ports) == 0
    ports.search.lost.add("bob")
    del contents.contents["m7"]
    assert await refill(ports) == 200
    assert "m7" in caplog.text
    assert await found(ports) == wanted(200) - {message_id("m7", "bob")}
    assert await ports.search.unfilled() == []
    reads: list[str] = []
    contents.fault = reads.append
    assert await fill("bob", ports) == 1  # the one without content is tried again
    assert reads == ["get"]


async def test_what_is_destroyed_meanwhile_does_not_come_back() -> None:
    """The mail is read while its message is destroyed, and its removal has been indexed."""
    store, contents = await filled_store(1)
    ports = IndexPorts(store=store, contents=contents, search=MemorySearchIndex())
    boxes = mailbox_ports(store=store)
    id_ = message_id("m0", "bob")

    class SlowContents(MemoryContentStore):
        async def get(self, ref: str) -> bytes:
            trash = order(TrashMessages, "c1", "m0")
            destroy = order(DestroyMessages, "c2", "m0", unchanged_since_seq=9)
            for n, command in enumerate((trash, destroy), start=1):
                (event,) = await mailbox(command, OneTry(offset=n), boxes)
                await index(event, OneTry(), ports)
            return await contents.get(ref)

    slow = replace(ports, contents=SlowContents())
    assert await fill("bob", slow) == 1
    assert (await store.message("bob", id_)).destroyed
    assert await found(ports) == set()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("opener", ["index", "api"])
async def test_a_folder_of_a_former_version_is_filled_again(
    tmp_path: Path, opener: str, version: int
) -> None:
    """Buckets of a former version are emptied by the first process that opens them."""
    store, contents = await filled_store(20)
    write_version(version, tmp_path / f"search-{bucket_of('bob'):02d}.sqlite")
    if opener == "api":
        reader = SqliteSearchIndex(tmp_path)
        assert (await reader.find("bob", IndexQuery(), limit=9)).positions == []
        await reader.close()
    search = SqliteSearchIndex(tmp_path)
    ports = IndexPorts(store=store, contents=contents, search=search)
    assert await search.unfilled() == ["bob"]
    await asyncio.gather(refill(ports), index_all(ports, 20))
    assert await found(ports) == wanted(20)
    assert await search.unfilled() == []
    await search.close()
    again = SqliteSearchIndex(tmp_path)
    assert await again.unfilled() == []
    await again.close()


async def index_all(ports: IndexPorts, count: int) -> None:
    """The index stage at the same time, handling its events again."""
    for entry in await ports.store.journal("bob", since_seq=0, limit=count):
        await index(entry, OneTry(), ports)


def write_version(version: int, path: Path) -> None:
    connection = sqlite3.connect(path)
    for statement in chain.from_iterable(SEARCH[:version]):
        connection.execute(statement)
    row = (1, "bob", "old", *([9] if version > 1 else []), b"\0")
    connection.execute(f"INSERT INTO doc VALUES ({', '.join('?' * len(row))})", row)
    connection.execute("INSERT INTO fts (rowid, subject) VALUES (1, 'old tea')")
    connection.execute(f"PRAGMA user_version={version}")
    connection.commit()
    connection.close()
