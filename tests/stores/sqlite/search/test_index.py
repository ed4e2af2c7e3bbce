"""SqliteSearchIndex beyond the contract: durability, other processes, failures."""

import asyncio
import itertools
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from mail.errors import Fatal, StoreUnavailable
from mail.pagination import NEWEST
from mail.ports import IndexMatches
from mail.query.planner import IndexQuery
from mail.query.time_budget import SearchTimedOut, TimeBudget
from mail.query.tree import containing
from stores.sqlite.search.bucket_file import SEARCH_SQLITE, SqliteSearchConfig
from stores.sqlite.search.bucket_search import BucketSearch
from stores.sqlite.search.index import BUCKETS, SqliteSearchIndex, bucket_of
from tests.contracts.search_cases import document, ids
from tests.contracts.search_index import find, index_query

AT_ONCE = SqliteSearchConfig(gather_s=0.0)  # these tests wait for each change
ADD_AND_TELL = """
import asyncio, itertools, pathlib, sys
from stores.sqlite.search.index import SqliteSearchIndex
from stores.sqlite.search.bucket_file import SqliteSearchConfig
from tests.contracts.search_cases import document

async def main():
    index = SqliteSearchIndex(pathlib.Path(sys.argv[1]), SqliteSearchConfig(gather_s=0.0))
    for n in itertools.count():
        await index.add(document(str(n), at=n, body="x"))
        print(n, flush=True)

asyncio.run(main())
"""


def bucket_file(folder: Path, user: str = "ann") -> Path:
    return folder / f"search-{bucket_of(user):02d}.sqlite"


def check_integrity(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO fts (fts) VALUES ('integrity-check')")
    ((docs, texts, found),) = connection.execute(
        "SELECT (SELECT count(*) FROM doc), (SELECT count(*) FROM text),"
        " (SELECT count(*) FROM fts WHERE fts MATCH ?)",
        ('about : "\ue000" *',),
    ).fetchall()
    connection.close()
    assert docs == texts == found


def test_buckets_are_fixed_and_even():
    assert [bucket_of(user) for user in ("ann", "bob", "")] == [3, 12, 14]
    counts = [0] * BUCKETS
    for n in range(1600):
        counts[bucket_of(f"user{n}")] += 1
    assert min(counts) > 50


async def test_what_takes_too_long_is_broken_off_and_goes_on_behind_what_was_found(tmp_path):
    index = SqliteSearchIndex(tmp_path, AT_ONCE)
    await asyncio.gather(
        *(index.add(document(str(n), at=n, body="often seen " * 40)) for n in range(2_000))
    )
    with pytest.raises(SearchTimedOut):
        await index.count("ann", index_query("often"), limit=9_999, budget=TimeBudget(left_s=1e-9))
    assert await index.count("ann", index_query("often"), limit=9_999, budget=TimeBudget()) == 2_000
    await index.close()
    found, calls, page = [], 0, IndexMatches([], NEWEST)
    with closing(sqlite3.connect(bucket_file(tmp_path))) as connection:
        while page.next_position is not None:
            looks = itertools.count()
            connection.set_progress_handler(lambda looks=looks: next(looks) == 99, 100)
            search = BucketSearch(connection, "ann", index_query("often"))
            page = search.find(before=page.next_position[0], limit=9_999)
            found += page.positions
            calls += 1
    assert (len(found), len(set(found))) == (2_000, 2_000)
    assert calls > 1


async def test_what_was_added_survives_kill_9(tmp_path):
    """The child prints each document after `add` has returned; the index must hold all of them."""
    child = subprocess.Popen(
        [sys.executable, "-c", ADD_AND_TELL, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    told = [int(next(child.stdout)) for _ in range(25)]
    child.send_signal(signal.SIGKILL)
    told += [int(line) for line in child.stdout]
    child.stdout.close()
    child.wait()
    index = SqliteSearchIndex(tmp_path, AT_ONCE)
    found = await find(index, "x")
    await index.close()
    assert found[-len(told) :] == ids(*map(str, reversed(told)))
    assert len(found) <= len(told) + 1
    check_integrity(bucket_file(tmp_path))


async def test_another_instance_sees_at_once(tmp_path):
    writer, reader = SqliteSearchIndex(tmp_path, AT_ONCE), SqliteSearchIndex(tmp_path, AT_ONCE)
    assert await find(reader, "x") == []
    await writer.add(document("a", body="x"))
    assert await find(reader, "x") == ids("a")
    await writer.remove("ann", ids("a")[0])
    assert await find(reader, "x") == []
    await writer.close()
    await reader.close()


async def test_a_file_that_is_locked_is_unavailable_then_works(tmp_path):
    hasty = replace(SEARCH_SQLITE, busy_timeout_s=0.05)
    index = SqliteSearchIndex(tmp_path, SqliteSearchConfig(sqlite=hasty, gather_s=0.0))
    await index.add(document("a", body="x"))
    other = sqlite3.connect(bucket_file(tmp_path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        await index.add(document("b", body="x"))
    assert await find(index, "x") == ids("a")
    other.execute("ROLLBACK")
    other.close()
    await index.add(document("b", body="x", at=1))
    assert await find(index, "x") == ids("a", "b")
    await index.close()


async def test_a_folder_that_cannot_be_made_is_unavailable_until_it_can(tmp_path):
    obstacle = tmp_path / "search"
    obstacle.write_text("in the way")
    index = SqliteSearchIndex(obstacle)
    with pytest.raises(StoreUnavailable):
        await index.add(document("a", body="x"))
    with pytest.raises(StoreUnavailable):
        await find(index, "x")
    obstacle.unlink()
    await index.add(document("a", body="x"))
    assert await find(index, "x") == ids("a")
    await index.close()


async def test_a_newer_file_is_refused(tmp_path):
    connection = sqlite3.connect(bucket_file(tmp_path))
    connection.execute("PRAGMA user_version=99")
    connection.close()
    index = SqliteSearchIndex(tmp_path, AT_ONCE)
    with pytest.raises(Fatal):
        await index.add(document("a"))
    await index.close()


async def test_one_bad_change_takes_no_neighbour_with_it(fts):
    good = [fts.add(document(str(n), body="x", at=n)) for n in range(5)]
    bad = fts.remove("ann", "no text: \ud800")
    *done, failed = await asyncio.gather(*good, bad, return_exceptions=True)
    assert isinstance(failed, UnicodeEncodeError)
    assert done == [None] * 5
    assert await find(fts, "x") == ids(*"43210")


async def test_close_finishes_what_was_asked_and_refuses_more(tmp_path):
    index = SqliteSearchIndex(tmp_path, AT_ONCE)
    added = [asyncio.create_task(index.add(document(str(n), body="x"))) for n in range(20)]
    await asyncio.sleep(0)
    await index.close()
    await asyncio.gather(*added)
    for call in (index.add(document("a")), find(index, "x"), index.remove("ann", "a")):
        with pytest.raises(StoreUnavailable):
            await call
    again = SqliteSearchIndex(tmp_path, AT_ONCE)
    assert len(await find(again, "x")) == 20
    await again.close()


async def test_whoever_stops_waiting_disturbs_nobody(fts):
    gone = asyncio.create_task(fts.add(document("a", body="x")))
    stays = asyncio.create_task(fts.add(document("b", body="x", at=1)))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert ids("b")[0] in await find(fts, "x")


async def test_the_files_stay_consistent_under_changes(fts, tmp_path):
    rng = random.Random(7)
    for _ in range(30):
        await asyncio.gather(
            *(
                fts.remove("ann", ids(name)[0])
                if rng.random() < 0.3
                else fts.add(document(name, at=rng.randrange(5), body=f"w{rng.randrange(9)} x"))
                for name in rng.choices("abcdefghij", k=8)
            )
        )
    check_integrity(bucket_file(tmp_path / "search"))
    assert len(await find(fts, "x")) == len(set(await find(fts, "x")))


async def test_ids_that_agree_in_time_and_beginning_are_all_found(fts):
    """21 bits of the id order messages of equal time; further ties are found in any order."""
    base = document("a", body="x")
    made = [msgspec.structs.replace(base, message_id=f"abcdef{n}") for n in range(20)]
    for added in made:
        await fts.add(added)
    assert sorted(await find(fts, "x")) == sorted(d.message_id for d in made)


async def test_a_quiet_bucket_is_written_at_once_and_a_busy_one_together(tmp_path):
    index = SqliteSearchIndex(tmp_path, SqliteSearchConfig(gather_s=3600.0, gather_max=3))
    await index.add(document("1", at=1, body="x"))
    waiting = [asyncio.create_task(index.add(document(n, at=1, body="x"))) for n in "23"]
    assert not (await asyncio.wait(waiting, timeout=0.1))[0]
    await index.add(document("4", at=1, body="x"))
    await asyncio.gather(*waiting)
    assert sorted(await find(index, "x")) == sorted(ids("1", "2", "3", "4"))
    await index.close()


async def test_a_search_inside_words_of_expensive_mails_ends_with_its_time(fts):
    """The search goes on after the last mail that it examined, although it found none."""
    for n in range(12):
        await fts.add(document(str(n), at=n, body="\u0e38\u3099" * 130_000 + str(n)))
    absent = IndexQuery(text=containing("absent"))
    before, calls = NEWEST, 0
    while before is not None:
        budget = TimeBudget(left_s=0.2)
        page = await fts.find("ann", absent, limit=9, before=before, budget=budget)
        assert page.positions == []
        before, calls = page.next_position, calls + 1
    assert calls > 1  # no call examined all mails
    with pytest.raises(SearchTimedOut):
        await fts.count("ann", absent, limit=9, budget=TimeBudget(left_s=0.1))
