"""The table of mailbox states on a real broker: recovery, writes by tasks, doubt."""

import asyncio

import pytest

from streams.topology import BY_NAME
from tests.streams.small import Note

pytestmark = pytest.mark.kafka
CHANGELOG = BY_NAME["mailbox-unread-changelog"]


async def test_a_table_is_recovered_and_doubted_at_every_assignment(
    make_workers, put, own_broker
) -> None:
    workers = await make_workers(own_broker, more=(CHANGELOG,), ordered=True, in_flight=4)

    async def count(first: int, last: int) -> list[dict]:
        """Publish notes of three keys; return what each handler found in the table, in order."""
        seen = len(workers.lines("table"))
        notes = [Note(key=f"k{n % 3}", number=n, word="table") for n in range(first, last)]
        await put(workers, *notes)
        await workers.until_answered(last)
        return workers.lines("table")[seen:]

    process = workers.start(unread=True)
    found = await count(0, 90)  # far more than the window: written by tasks that began later
    for key in range(3):
        of_key = [line["proven"] for line in found if line["key"] == f"k{key}"]
        assert of_key == [None, *range(key, 87 + key, 3)]

    await asyncio.sleep(2)  # the changelog's writes are not awaited; let them pass
    process.kill()
    process = workers.start(unread=True)
    found = await count(90, 96)
    assert [line["proven"] for line in found if line["key"] == "k0"] == [None, 90]
    assert found[0]["kept"] is not None  # recovered, perhaps behind, and not believed

    second = workers.start(unread=True)
    both = (process, second)
    await workers.until(
        lambda: sorted(workers.status(each)["partitions"] for each in both) == [1, 2]
    )
    found = await count(96, 99)
    assert [line["proven"] for line in found] == [None] * 3
    assert workers.errors().count("outside of") == 0
