"""Worker processes that are stopped by SIGSTOP past their session timeout, on one Cassandra node.

While one of two workers is stopped, the other takes its partitions over and goes on. Then it
continues in the middle of its steps. The result must equal a model that applies the commands in
order. POSTRIVER_SEED repeats a run; WORKER_STOPS is the number of stops, WORKER_STOP_S the
time of the last one.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from mail.clock_guard import boot_ms
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.session import ClusterConfig
from stores.sqlite.directory.store import SqliteDirectory
from streams.config import PublisherConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.topics.admin import ensure_topics
from tests.support.broker import Broker, started
from tests.system.two_workers.checks import COMMANDS, check_all, drained, publish
from tests.system.two_workers.fleet import WorkerFleet
from tests.system.two_workers.mailbox_commands import USERS, CommandGenerator

STOPS = int(os.environ.get("WORKER_STOPS", "1"))
STOP_S = float(os.environ.get("WORKER_STOP_S", "0"))
pytestmark = [
    pytest.mark.distributed, pytest.mark.kafka, pytest.mark.timeout(600 + 120 * STOPS + STOP_S),
]  # fmt: skip
PER_STOP = 200  # commands before, during and after a stop
UNTIL_S = 240.0  # generous, because the test asserts no speed
WORK_MAX = 100  # changes before a stop, at most
PAST_TIMEOUT_MS = 7_000  # StreamsConfig.session_timeout_s is 6
KEYSPACE = f"stopped_{os.getpid()}"
LEASE_ENDED = ("no heartbeat was answered for", "this worker is not a member of its group now")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker of this test, because it has all topics of the table."""
    folder = tmp_path / "broker"
    folder.mkdir()
    with started(folder) as made:
        yield made


@pytest.fixture
async def store(cluster: ClusterConfig) -> AsyncIterator[CassandraMailStore]:
    made = await CassandraMailStore.open(replace(cluster, keyspace=KEYSPACE))
    yield made
    await made.close()


@contextmanager
def a_fleet(broker: Broker, folder: Path, cluster: ClusterConfig) -> Iterator[WorkerFleet]:
    fleet = WorkerFleet(broker.bootstrap, folder, msgspec.json.encode(cluster).decode())
    try:
        yield fleet
    finally:
        fleet.end()


async def test_a_stopped_worker_that_goes_on_changes_nothing(
    broker: Broker, store: CassandraMailStore, cluster: ClusterConfig, tmp_path: Path
) -> None:
    seed = int(os.environ.get("POSTRIVER_SEED") or random.SystemRandom().randrange(10**6))
    print(f"POSTRIVER_SEED={seed}")
    dice, generator = random.Random(seed), CommandGenerator(random.Random(seed + 1))
    directory = await SqliteDirectory.open(tmp_path / "directory.sqlite")
    epochs = await ensure_topics(TopicsConfig(bootstrap=broker.bootstrap), directory)
    await directory.close()
    publisher = KafkaPublisher(PublisherConfig(bootstrap=broker.bootstrap))
    await publisher.start()
    with a_fleet(broker, tmp_path, replace(cluster, keyspace=KEYSPACE)) as fleet:
        for _ in range(2):
            fleet.start()
        for number in range(STOPS):
            await publish(publisher, generator, PER_STOP)
            await _until_changed(fleet, store, dice.randint(1, WORK_MAX))
            name = fleet.suspend(dice)
            ends_ms = boot_ms() + PAST_TIMEOUT_MS + int(STOP_S * 1000) * (number == STOPS - 1)
            await publish(publisher, generator, PER_STOP)
            await drained(fleet)  # by the other worker alone
            await fleet.until(lambda: boot_ms() >= ends_ms, within_s=STOP_S + UNTIL_S)  # noqa: B023
            publishing = asyncio.create_task(publish(publisher, generator, PER_STOP))
            fleet.resume(name)
            await publishing
        await drained(fleet)
        await publisher.stop()
        assert fleet.stop() == [0, 0], fleet.logs()
    logs = "".join(path.read_text() for path in tmp_path.glob("worker-*.log"))
    summary = await check_all(broker.bootstrap, epochs[COMMANDS], store, 3 * PER_STOP * STOPS)
    for user in USERS:
        assert (await store.check(user)).differences == ()
    ended = sum(logs.count(words) for words in LEASE_ENDED)
    print(f"{summary}, {STOPS} stops, {fleet.fenced} fenced, {fleet.unhealthy} unhealthy,"
          f" leases had ended {ended} times")  # fmt: skip


async def _until_changed(fleet: WorkerFleet, store: CassandraMailStore, changes: int) -> None:
    """Wait until the mailboxes have `changes` more steps."""

    async def total() -> int:
        states = await asyncio.gather(*(store.state(user) for user in USERS))
        return sum(state.seq for state in states)

    goal = await total() + changes
    async with asyncio.timeout(UNTIL_S):
        while await total() < goal:
            fleet.tend()
