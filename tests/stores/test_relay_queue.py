"""Adapters of RelayQueue: the contract, and the cost of calls on a long queue."""

import sqlite3

import pytest

from stores.memory import MemoryRelayQueue
from stores.sqlite.relay_queue import SqliteRelayQueue
from tests.contracts.relay_queue import EVERY, RelayQueueContract, outcomes, relay

ROWS = 200_000
LONG, AT_MS = "long.example", 1_000
FILL = """WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)
    INSERT INTO relay_recipient (mail_id, destination, address, partition, queued_at_ms, state,
        next_attempt_at_ms, recipient)
    SELECT printf('m%07d', n), destination_of(n), 'bob@example.net', 3, 1, 'waiting', n % 1000, ?
    FROM number"""
STEPS_MAX = 20_000  # of SQLite's virtual machine; a scan of the table takes millions


class TestMemoryRelayQueue(RelayQueueContract):
    @pytest.fixture
    def queue(self):
        return MemoryRelayQueue()


class TestSqliteRelayQueue(RelayQueueContract):
    @pytest.fixture
    async def queue(self, tmp_path):
        queue = await SqliteRelayQueue.open(tmp_path / "relay.sqlite")
        yield queue
        await queue.close()


async def steps_of(queue: SqliteRelayQueue, call) -> tuple[int, object]:
    """Steps that SQLite takes for a call, in tens, and the result."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 10
        return 0

    def hook(connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(count, 10)

    await queue.file.write(hook)
    await queue.file.read(hook)
    await queue.file.read(hook)
    result = await call
    return counted, result


async def test_no_call_scans_a_long_queue(tmp_path) -> None:
    """One destination has half of 200,000 rows, 10,000 destinations have ten rows each."""
    queue = await SqliteRelayQueue.open(tmp_path / "relay.sqlite")
    try:
        await queue.put(relay("seed"), partition=3, at_ms=AT_MS)
        await queue.file.write(fill)
        steps, batches = await steps_of(
            queue, queue.claim(EVERY, claim="p", now_ms=AT_MS, until_ms=10**9, limit=20)
        )
        assert len({batch.rows[0].destination for batch in batches}) == 20
        assert steps < STEPS_MAX
        busy = [f"d{number}.example" for number in range(200)]
        steps, _ = await steps_of(
            queue,
            queue.claim(EVERY, claim="p", now_ms=2 * AT_MS, until_ms=10**9, limit=20, busy=busy),
        )
        assert steps < STEPS_MAX
        results = [each for batch in batches for each in outcomes(batch, "relayed", 3 * AT_MS)]
        for call in (
            lambda: queue.mark([each.row for each in results], at_ms=AT_MS, until_ms=10**9),
            lambda: queue.record(results),
            lambda: queue.unreported(EVERY, limit=20),
            lambda: queue.release_claims(EVERY, claim="other", now_ms=AT_MS),
            lambda: queue.settled(limit=20),
            lambda: queue.put(relay("new", destination=LONG), partition=3, at_ms=AT_MS),
        ):
            steps, _ = await steps_of(queue, call())
            assert steps < STEPS_MAX
    finally:
        await queue.close()


def fill(connection: sqlite3.Connection) -> None:
    """Add rows, as copies of the mail and the recipient `seed`."""

    def destination_of(number: int) -> str:
        return LONG if number % 2 else f"d{number // 20}.example"

    connection.create_function("destination_of", 1, destination_of)
    (recipient,) = connection.execute("SELECT recipient FROM relay_recipient").fetchone()
    connection.execute(FILL, (ROWS, recipient))
    connection.execute(
        """INSERT INTO relay_mail (mail_id, destination, mail)
        SELECT r.mail_id, r.destination, m.mail FROM relay_recipient r, relay_mail m
        WHERE m.mail_id = 'seed' AND r.mail_id != 'seed'"""
    )
    connection.execute(
        """INSERT OR IGNORE INTO relay_destination (destination, partition, turn_at_ms)
        SELECT destination, 3, min(next_attempt_at_ms) FROM relay_recipient GROUP BY destination"""
    )


async def test_destinations_are_deleted_with_their_last_mail(tmp_path) -> None:
    queue = await SqliteRelayQueue.open(tmp_path / "relay.sqlite")
    try:
        for name, destination in (("m1", "a.example"), ("m2", "a.example"), ("m3", "b.example")):
            await queue.put(relay(name, destination=destination), partition=3, at_ms=AT_MS)
        held = ("m2", "a.example", "bob@a.example")
        await queue.change([held], "hold", at_ms=AT_MS)
        for batch in await queue.claim(EVERY, claim="p", now_ms=AT_MS, until_ms=10**9, limit=9):
            await queue.record(outcomes(batch, "relayed", AT_MS))
        reports = await queue.unreported(EVERY, limit=9)
        await queue.set_reported([report.report_id for report in reports])
        await queue.set_released(await queue.settled(limit=9))
        assert await queue.delete_released(before_ms=10**9, limit=9) == 2
        names = await queue.file.read(
            lambda connection: connection.execute(
                "SELECT destination FROM relay_destination"
            ).fetchall()
        )
        assert names == [("a.example",)]
        await queue.change([held], "release", at_ms=AT_MS)
        assert len(await queue.claim(EVERY, claim="p", now_ms=AT_MS, until_ms=9, limit=9)) == 1
    finally:
        await queue.close()
