"""SqliteFile: open, schema versions, group commit, outages, an event loop that never blocks."""

import asyncio
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE

import pytest

from mail.errors import Fatal, StoreUnavailable
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.group_commit import SqliteFile
from stores.sqlite.mail_store.store import SqliteMailStore
from tests.contracts.mail_store_reads import holds_what
from tests.contracts.mailboxes import Writer
from tests.support import ROOT

NOTES = (("CREATE TABLE note (name TEXT PRIMARY KEY, number INTEGER CHECK (number > 0)) STRICT",),)
HASTY = SqliteConfig(busy_timeout_s=0.05)
OPEN_ONCE = """
import asyncio, sys
from pathlib import Path
from stores.sqlite.mail_store.store import SqliteMailStore
async def main():
    store = await SqliteMailStore.open(Path(sys.argv[1]))
    assert (await store.load("ann")).seq == 0
    await store.close()
asyncio.run(main())
"""


def put(name: str, number: int):
    return lambda c: c.execute("INSERT INTO note VALUES (?, ?)", (name, number)).rowcount


def names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM note ORDER BY name")]


@pytest.fixture
async def notes(tmp_path):
    file = await SqliteFile.open(tmp_path / "notes.sqlite", NOTES, HASTY)
    yield file
    await file.close()


async def test_what_was_closed_is_there_again(tmp_path):
    ann = Writer()
    for commit in (ann.deliver("a"), ann.deliver("b"), ann.destroy("a")):
        store = await SqliteMailStore.open(tmp_path / "deep" / "mail.sqlite")
        await store.commit(commit)
        await store.close()
    store = await SqliteMailStore.open(tmp_path / "deep" / "mail.sqlite")
    await holds_what(store, ann)
    await store.close()


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "notes.sqlite"
    file = await SqliteFile.open(path, (*NOTES, ("CREATE TABLE later (a)",)), HASTY)
    await file.close()
    before = path.read_bytes()
    with pytest.raises(Fatal, match="schema 2, this program knows up to 1"):
        await SqliteFile.open(path, NOTES, HASTY)
    assert path.read_bytes() == before


async def test_a_file_of_an_older_version_is_migrated_with_its_rows(tmp_path, notes):
    await notes.write(put("a", 1))
    newer = (*NOTES, ("ALTER TABLE note ADD COLUMN text TEXT", "UPDATE note SET text = name"))
    file = await SqliteFile.open(tmp_path / "notes.sqlite", newer, HASTY)
    assert await file.read(lambda c: c.execute("SELECT * FROM note").fetchall()) == [("a", 1, "a")]
    await file.close()


async def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path, notes):
    await notes.write(put("a", 1))
    broken = (*NOTES, ("DELETE FROM note", "UPDATE nowhere SET a = 1"))
    with pytest.raises(sqlite3.OperationalError):
        await SqliteFile.open(tmp_path / "notes.sqlite", broken, HASTY)
    assert await notes.read(names) == ["a"]


async def test_many_processes_may_make_the_file_at_once(tmp_path):
    command = (sys.executable, "-c", OPEN_ONCE, str(tmp_path / "mail.sqlite"))
    started = [
        await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=PIPE) for _ in range(4)
    ]
    for process in started:
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()


async def test_the_file_is_for_its_owner_alone_and_writes_wait_for_the_disk(tmp_path, notes):
    await notes.write(put("a", 1))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("notes.sqlite*")} == {0o600}
    settings = ("synchronous", "journal_mode", "foreign_keys")
    asked = [
        await notes.write(lambda c, name=name: c.execute(f"PRAGMA {name}").fetchone()[0])
        for name in settings
    ]
    assert asked == [2, "wal", 1]


async def test_a_reader_cannot_write(notes):
    with pytest.raises(StoreUnavailable):
        await notes.read(put("a", 1))
    assert await notes.read(names) == []


async def test_writes_asked_at_once_fail_alone_even_after_they_wrote(notes):
    def half(connection: sqlite3.Connection) -> None:
        put("half", 1)(connection)
        raise LookupError

    asked = [put("a", 1), half, put("b", 2), put("zero", 0), put("a", 3), put("c", 3)]
    outcomes = await asyncio.gather(*map(notes.write, asked), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        *(int, LookupError, int),
        *(sqlite3.IntegrityError, sqlite3.IntegrityError, int),
    ]
    assert await notes.read(names) == ["a", "b", "c"]


async def test_writes_asked_at_once_share_transactions(tmp_path):
    """Group commit: far fewer transactions than writes."""
    file = await SqliteFile.open(tmp_path / "notes.sqlite", NOTES, SqliteConfig(batch_max=100))
    began: list[str] = []
    await file.write(lambda c: c.set_trace_callback(began.append))
    await asyncio.gather(*(file.write(put(f"{number:03}", 1)) for number in range(500)))
    await file.write(lambda c: c.set_trace_callback(None))
    assert 5 <= sum(statement.startswith("BEGIN") for statement in began) <= 100
    assert len(await file.read(names)) == 500
    await file.close()


async def test_another_process_that_writes_for_long_is_an_outage_for_writers_alone(tmp_path, notes):
    other = sqlite3.connect(tmp_path / "notes.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
        await notes.write(put("a", 1))
    assert await notes.read(names) == []
    other.execute("ROLLBACK")
    other.close()
    await notes.write(put("a", 1))
    assert await notes.read(names) == ["a"]


async def test_a_write_that_waits_holds_neither_readers_nor_the_loop(tmp_path):
    file = await SqliteFile.open(tmp_path / "notes.sqlite", NOTES, SqliteConfig())
    other = sqlite3.connect(tmp_path / "notes.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(file.write(put("a", 1)))
    for _ in range(20):
        assert await file.read(names) == []
    assert not waiting.done()
    other.execute("COMMIT")
    other.close()
    await waiting
    assert await file.read(names) == ["a"]
    await file.close()


async def test_a_slow_read_holds_neither_other_readers_nor_writers(notes):
    release = asyncio.Event()
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(connection: sqlite3.Connection) -> list[str]:
        before = names(connection)
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(timeout=10)
        assert names(connection) == before, "one read sees one moment"
        return before

    reading = asyncio.create_task(notes.read(slow))
    await begun.wait()
    await notes.write(put("a", 1))
    assert await notes.read(names) == ["a"]
    release.set()
    assert await reading == []


async def test_a_closed_file_is_an_outage_and_what_was_asked_before_is_done(tmp_path):
    file = await SqliteFile.open(tmp_path / "notes.sqlite", NOTES, HASTY)
    asked = [asyncio.create_task(file.write(put(str(number), 1))) for number in range(50)]
    await asyncio.sleep(0)
    await file.close()
    assert await asyncio.gather(*asked) == [1] * 50
    await file.close()
    for call in (file.write(put("late", 1)), file.read(names)):
        with pytest.raises(StoreUnavailable, match="closed"):
            await call


async def test_a_caller_that_left_disturbs_nobody(notes):
    left = asyncio.create_task(notes.write(lambda c: (time.sleep(0.05), put("left", 1)(c))))
    await asyncio.sleep(0)
    stays = asyncio.create_task(notes.write(put("stays", 1)))
    await asyncio.sleep(0)
    left.cancel()
    assert await stays == 1
    assert await notes.read(names) == ["left", "stays"]


@pytest.mark.parametrize("damage", ["rubbish", "folder"])
async def test_a_file_that_cannot_be_opened_is_an_outage(tmp_path, damage):
    path = tmp_path / "mail.sqlite"
    path.mkdir() if damage == "folder" else path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailable):
        await SqliteMailStore.open(path)


async def test_a_damaged_page_is_an_outage_for_its_readers(tmp_path):
    path = tmp_path / "mail.sqlite"
    store = await SqliteMailStore.open(path)
    ann = Writer()
    for number in range(100):
        await store.commit(ann.deliver(str(number)))
    await store.close()
    assert list(tmp_path.iterdir()) == [path], "closing clears the WAL away"
    whole = path.read_bytes()
    half = len(whole) // 2  # the first pages hold the schema, which every open needs
    path.write_bytes(whole[:half] + b"\xff" * (len(whole) - half))
    store = await SqliteMailStore.open(path)
    with pytest.raises(StoreUnavailable, match="SQLITE_CORRUPT"):
        await store.journal("ann", since_seq=0, limit=100)
    await store.close()
