"""The memory of a check does not grow with the mailbox: what it compares is in temporary tables."""

import tracemalloc
from pathlib import Path

from schemas.consistency import ConsistencyReport
from stores.sqlite.mail_store.store import SqliteMailStore
from tests.contracts.mailboxes import Writer

BATCH = 100


async def test_five_times_the_messages_take_less_than_twice_the_memory(tmp_path: Path) -> None:
    store, peaks = await SqliteMailStore.open(tmp_path / "mail.sqlite"), []
    try:
        for user_id, number in (("small", 600), ("large", 3_000)):
            writer = Writer(user_id)
            for first in range(0, number, BATCH):
                commits = [writer.deliver(str(each)) for each in range(first, first + BATCH)]
                await store.commit_all(commits)
            del writer, commits
            await store.check(user_id)
            tracemalloc.start()
            assert await store.check(user_id) == ConsistencyReport()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    finally:
        await store.close()
    small, large = peaks
    assert large < 2 * small, peaks
