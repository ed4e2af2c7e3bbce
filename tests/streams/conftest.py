"""A real broker, small topics and worker processes for the tests of streams/."""

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.dead_letters import DeadLetter
from streams.codec import Headers, decode_of, encode
from streams.config import Bootstrap, PublisherConfig, TopicsConfig
from streams.dead_letters.headers import letter, texts
from streams.publisher import KafkaPublisher
from streams.topics.admin import ensure_topics
from tests.streams.small import Answer, Note, SmallTopology
from tests.support import ROOT
from tests.support.broker import Broker, started
from tests.support.waiting import until


class MemorySettings:
    """Settings of an installation, in memory (mail.ports.Settings)."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def setting(self, name: str) -> str | None:
        return self.values.get(name)

    async def set_setting(self, name: str, value: str) -> None:
        self.values[name] = value

    async def exchange_setting(self, name: str, before: str | None, after: str) -> bool:
        if self.values.get(name) != before:
            return False
        self.values[name] = after
        return True


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker for tests that stop it."""
    with started(tmp_path) as made:
        yield made


@pytest.fixture
def topics_config(broker: Broker) -> TopicsConfig:
    return TopicsConfig(bootstrap=broker.bootstrap, partitions=3)


class Workers:
    """Worker processes of one small topology, with their logs and their published events."""

    def __init__(
        self, bootstrap: Bootstrap, topology: SmallTopology, epochs: dict[str, str], folder: Path
    ) -> None:
        self.bootstrap = bootstrap
        self.topology = topology
        self.epochs = epochs
        self.folder = folder
        self.log = folder / "log.jsonl"
        self.gate = folder / "gate"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, **more) -> subprocess.Popen[bytes]:
        options = {
            "bootstrap": self.bootstrap.written(),
            "topology": self.topology.role,
            "in_flight": self.topology.stage.in_flight,
            "ordered": self.topology.stage.ordered,
            "epochs": self.epochs,
            "log": str(self.log),
            "began_s": time.time(),
            **more,
        }
        with (self.folder / "stderr").open("ab") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.streams.small_role", json.dumps(options)],
                cwd=ROOT,
                stderr=stderr,
            )
        self.processes.append(process)
        return process

    def lines(self, what: str) -> list[dict]:
        if not self.log.exists():
            return []
        written = self.log.read_text().splitlines()
        return [line for each in written if (line := json.loads(each))["what"] == what]

    def status(self, process: subprocess.Popen[bytes]) -> dict:
        try:
            return json.loads(self.log.with_suffix(f".{process.pid}").read_text())
        except FileNotFoundError:
            return {"ready": False, "held": [], "partitions": 0, "lag": -1, "unhealthy": None}

    def errors(self) -> str:
        return (self.folder / "stderr").read_text()[-6000:]

    async def until(self, condition, *, within_s: float = 45.0) -> None:
        try:
            await until(condition, within_s=within_s)
        except TimeoutError:
            pytest.fail(f"not within {within_s} s; their logs:\n{self.errors()}")

    async def ready(self, process: subprocess.Popen[bytes]) -> None:
        await self.until(lambda: self.status(process)["ready"])

    async def answers(self) -> list[tuple[int, Answer]]:
        """Return partition and event of all answers so far."""
        found = await read_all(self.bootstrap, self.topology.answers.name)
        return [
            (each.partition, decode_of(self.topology.answers, each.offset, each.value))
            for each in found
        ]

    async def until_answered(self, count: int, *, within_s: float = 60.0) -> list[Answer]:
        """Wait until `count` different notes are answered."""
        deadline = time.monotonic() + within_s
        while True:
            answers = [answer for _, answer in await self.answers()]
            if len({answer.number for answer in answers}) >= count:
                return answers
            if time.monotonic() > deadline:
                pytest.fail(f"{len(answers)} of {count}; their logs:\n{self.errors()}")
            await asyncio.sleep(0.2)

    async def dead(self) -> list[DeadLetter]:
        found = await read_all(self.bootstrap, self.topology.dead.name)
        letters = [letter(texts(each.headers), each.key, each.value) for each in found]
        return [each for each in letters if each is not None]

    async def until_dead(self, count: int, *, within_s: float = 60.0) -> list[DeadLetter]:
        """Wait until `count` events are parked."""
        deadline = time.monotonic() + within_s
        while len(found := await self.dead()) < count:
            if time.monotonic() > deadline:
                pytest.fail(f"{len(found)} of {count} parked; their logs:\n{self.errors()}")
            await asyncio.sleep(0.2)
        return found

    async def committed(self) -> int:
        """Return the sum of the committed offsets of the notes."""
        consumer = AIOKafkaConsumer(**self.bootstrap.options, group_id=self.topology.role)
        await consumer.start()
        try:
            partitions = [TopicPartition(self.topology.notes.name, n) for n in range(3)]
            return sum([await consumer.committed(each) or 0 for each in partitions])
        finally:
            await consumer.stop()

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(20)


async def read_all(bootstrap: Bootstrap, topic: str) -> list:
    """Return every record of a topic."""
    consumer = AIOKafkaConsumer(
        topic, **bootstrap.options, auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    try:
        found, ends = [], await consumer.end_offsets(consumer.assignment())
        while sum(ends.values()) > len(found):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
        return found
    finally:
        await consumer.stop()


_numbers = itertools.count()


@pytest.fixture
async def make_workers(broker: Broker, tmp_path: Path):
    """A function that creates a topology and its workers; the processes end with the test."""
    made: list[Workers] = []

    async def make(at: Broker = broker, more: tuple = (), **settings) -> Workers:
        fresh = SmallTopology(f"s{os.getpid()}.{next(_numbers)}", **settings)
        config = TopicsConfig(bootstrap=at.bootstrap, partitions=3)
        epochs = await ensure_topics(config, MemorySettings(), topics=(*fresh.topics, *more))
        folder = tmp_path / fresh.role
        folder.mkdir()
        made.append(Workers(at.bootstrap, fresh, epochs, folder))
        return made[-1]

    yield make
    for workers in made:
        workers.end()


@pytest.fixture
async def put(broker: Broker):
    """A function that publishes notes to a topology."""
    publishers: dict[str, KafkaPublisher] = {}

    async def publish(workers: Workers, *notes: Note, headers: Headers | None = None) -> None:
        name = workers.topology.role
        if name not in publishers:
            config = PublisherConfig(bootstrap=workers.bootstrap, linger_ms=0)
            publishers[name] = KafkaPublisher(config, topic_of=workers.topology.topic_of)
            await publishers[name].start()
        if headers is None:
            await publishers[name].publish(*notes)
            return
        for note in notes:
            topic, key = workers.topology.notes.name, note.key.encode()
            await publishers[name].publish_raw(topic, key, encode(note), headers)

    yield publish
    for publisher in publishers.values():
        await publisher.stop()
