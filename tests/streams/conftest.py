"""A real broker, small topics and worker processes for the tests of the river."""

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
from tests.streams.small import Answer, Note, River
from tests.support import ROOT
from tests.support.broker import Broker, started


class Facts:
    """Settings of an installation, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def setting(self, name: str) -> str | None:
        return self.values.get(name)

    async def set_setting(self, name: str, value: str) -> None:
        self.values[name] = value


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with started(tmp_path_factory.mktemp("streams")) as made:
        yield made


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker for tests that stop it."""
    with started(tmp_path) as made:
        yield made


@pytest.fixture
def topics_config(broker: Broker) -> TopicsConfig:
    return TopicsConfig(bootstrap=broker.bootstrap, partitions=3)


async def until(condition, *, within_s: float = 30.0) -> None:
    """Wait for `condition()` to hold; generous, since machines differ."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


class Workers:
    """Worker processes on one river, what they wrote, and what they published."""

    def __init__(
        self, bootstrap: Bootstrap, river: River, epochs: dict[str, str], folder: Path
    ) -> None:
        self.bootstrap = bootstrap
        self.river = river
        self.epochs = epochs
        self.folder = folder
        self.log = folder / "log.jsonl"
        self.gate = folder / "gate"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, **more) -> subprocess.Popen[bytes]:
        told = {
            "bootstrap": self.bootstrap.written(),
            "river": self.river.role,
            "in_flight": self.river.stage.in_flight,
            "ordered": self.river.stage.ordered,
            "epochs": self.epochs,
            "log": str(self.log),
            "began_s": time.time(),
            **more,
        }
        with (self.folder / "stderr").open("ab") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.streams.small_role", json.dumps(told)],
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
        except (FileNotFoundError, json.JSONDecodeError):
            return {"ready": False, "held": [], "partitions": 0, "lag": -1, "unhealthy": None}

    def errors(self) -> str:
        return (self.folder / "stderr").read_text()[-6000:]

    async def until(self, condition, *, within_s: float = 45.0) -> None:
        try:
            await until(condition, within_s=within_s)
        except TimeoutError:
            pytest.fail(f"not within {within_s} s; the workers said:\n{self.errors()}")

    async def ready(self, process: subprocess.Popen[bytes]) -> None:
        await self.until(lambda: self.status(process)["ready"])

    async def answers(self) -> list[tuple[int, Answer]]:
        """Partition and event of everything answered so far."""
        found = await read_all(self.bootstrap, self.river.answers.name)
        return [
            (each.partition, decode_of(self.river.answers, each.offset, each.value))
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
                pytest.fail(f"{len(answers)} of {count}; the workers said:\n{self.errors()}")
            await asyncio.sleep(0.2)

    async def dead(self) -> list[DeadLetter]:
        found = await read_all(self.bootstrap, self.river.dead.name)
        letters = [letter(texts(each.headers), each.key, each.value) for each in found]
        return [each for each in letters if each is not None]

    async def until_dead(self, count: int, *, within_s: float = 60.0) -> list[DeadLetter]:
        """Wait until `count` events are parked."""
        deadline = time.monotonic() + within_s
        while len(found := await self.dead()) < count:
            if time.monotonic() > deadline:
                pytest.fail(f"{len(found)} of {count} parked; they said:\n{self.errors()}")
            await asyncio.sleep(0.2)
        return found

    async def committed(self) -> int:
        """Sum of the committed offsets of the river's notes."""
        consumer = AIOKafkaConsumer(**self.bootstrap.options, group_id=self.river.role)
        await consumer.start()
        try:
            partitions = [TopicPartition(self.river.notes.name, n) for n in range(3)]
            return sum([await consumer.committed(each) or 0 for each in partitions])
        finally:
            await consumer.stop()

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(20)


async def read_all(bootstrap: Bootstrap, topic: str) -> list:
    """Every record that stands on a topic now."""
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
    """A function that makes a river and its workers; processes end with the test."""
    made: list[Workers] = []

    async def make(at: Broker = broker, more: tuple = (), **river) -> Workers:
        fresh = River(f"s{os.getpid()}.{next(_numbers)}", **river)
        config = TopicsConfig(bootstrap=at.bootstrap, partitions=3)
        epochs = await ensure_topics(config, Facts(), topics=(*fresh.topics, *more))
        folder = tmp_path / fresh.role
        folder.mkdir()
        made.append(Workers(at.bootstrap, fresh, epochs, folder))
        return made[-1]

    yield make
    for workers in made:
        workers.end()


@pytest.fixture
async def put(broker: Broker):
    """Publish events of a river."""
    publishers: dict[str, KafkaPublisher] = {}

    async def publish(workers: Workers, *notes: Note, headers: Headers | None = None) -> None:
        name = workers.river.role
        if name not in publishers:
            config = PublisherConfig(bootstrap=workers.bootstrap, linger_ms=0)
            publishers[name] = KafkaPublisher(config, topic_of=workers.river.topic_of)
            await publishers[name].start()
        if headers is None:
            await publishers[name].publish(*notes)
            return
        for note in notes:
            topic, key = workers.river.notes.name, note.key.encode()
            await publishers[name].publish_raw(topic, key, encode(note), headers)

    yield publish
    for publisher in publishers.values():
        await publisher.stop()
