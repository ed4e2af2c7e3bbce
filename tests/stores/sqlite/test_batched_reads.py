"""BatchedReads: one job for many keys, and an outcome for each key."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from sqlite3 import Connection

import pytest

from mail.errors import StoreUnavailable
from stores.sqlite.batched_reads import BATCH_MAX, BatchedReads
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.group_commit import SqliteFile

SCHEMA = (("CREATE TABLE t (a TEXT PRIMARY KEY)", "INSERT INTO t VALUES ('a')"),)


class Counted(SqliteFile):
    """A file that counts its reads."""

    reads = 0

    async def read(self, work):
        self.reads += 1
        return await super().read(work)


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[Counted]:
    opened = await Counted.open(tmp_path / "t.sqlite", SCHEMA, SqliteConfig())
    yield opened
    await opened.close()


def is_there(connection: Connection, key: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM t WHERE a = ?", (key,)).fetchone())


async def test_what_is_asked_for_at_once_is_one_job_up_to_its_bound(file: Counted) -> None:
    reads = BatchedReads(file, is_there)
    keys = ["a", "b"] * BATCH_MAX
    assert await asyncio.gather(*map(reads.of, keys)) == [True, False] * BATCH_MAX
    assert file.reads == 2
    await file.write(lambda c: c.execute("INSERT INTO t VALUES ('b')"))
    assert await reads.of("b")
    assert file.reads == 3


async def test_a_bad_key_and_one_who_leaves_disturb_nobody(file: Counted) -> None:
    reads = BatchedReads(file, is_there)
    gone, bad, good = (asyncio.create_task(reads.of(key)) for key in ("a", "\ud800", "a"))
    await asyncio.sleep(0)
    gone.cancel()
    assert await good
    with pytest.raises(UnicodeEncodeError):
        await bad


async def test_a_failing_engine_fails_all_by_name(file: Counted) -> None:
    reads = BatchedReads(file, is_there)
    await file.close()
    found = await asyncio.gather(reads.of("a"), reads.of("b"), return_exceptions=True)
    assert [type(one) for one in found] == [StoreUnavailable] * 2
