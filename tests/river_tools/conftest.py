"""A real broker for the tools around the river, and small helpers to fill its topics."""

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import OffsetAndMetadata

from stack.home import Home
from stack.kafka import KafkaConfig, kafka

JARS = Path(__file__).parents[2] / ".tools" / "kafka" / "lib"
START_LIMIT_S = 60
_numbers = itertools.count()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Broker:
    """One Kafka node on a free port; it can be stopped and started, its data stays."""

    def __init__(self, folder: Path) -> None:
        self.port, controller_port = free_ports(2)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._log = folder / "out.log"
        self._process: subprocess.Popen[bytes] | None = None
        config = KafkaConfig(
            lib=JARS,
            port=self.port,
            controller_port=controller_port,
            heap_min_mib=128,
            heap_max_mib=400,
            offsets_partitions=1,
        )
        self._program = kafka(Home(folder / "home"), config)

    def start(self) -> None:
        program = self._program
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                program.argv, env=program.env, cwd=program.cwd, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            time.sleep(0.2)
        pytest.fail("the broker did not come up")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
            self._process = None


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    made = Broker(tmp_path_factory.mktemp("river_tools"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def admin(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def producer(broker: Broker) -> AsyncIterator[AIOKafkaProducer]:
    client = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")
    await client.start()
    yield client
    await client.stop()


def fresh(name: str) -> str:
    """A topic or group name that no other test uses."""
    return f"{name}.{os.getpid()}.{next(_numbers)}"


async def make(admin: AIOKafkaAdminClient, *names: str, partitions: int = 3, **settings) -> None:
    """Create topics and wait until the broker leads them."""
    topics = [NewTopic(name, partitions, 1, topic_configs=settings) for name in names]
    answer = await admin.create_topics(topics)
    assert all(error[1] in (0, 36) for error in answer.topic_errors), answer
    while any(topic["error_code"] for topic in await admin.describe_topics(list(names))):
        await asyncio.sleep(0.05)


async def remake(admin: AIOKafkaAdminClient, name: str, *, partitions: int = 3) -> None:
    """Delete a topic and create it again under the same name."""
    await admin.delete_topics([name])
    while True:
        answer = await admin.create_topics([NewTopic(name, partitions, 1)])
        if answer.topic_errors[0][1] == 0:
            break
        await asyncio.sleep(0.05)
    while (await admin.describe_topics([name]))[0]["error_code"]:
        await asyncio.sleep(0.05)


async def commit(bootstrap: str, group: str, offsets: dict[tuple[str, int], int]) -> None:
    """Commit offsets for a group that nobody is a member of."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False
    )
    consumer.assign([TopicPartition(*each) for each in offsets])
    await consumer.start()
    try:
        await consumer.commit(
            {TopicPartition(*each): OffsetAndMetadata(at, "") for each, at in offsets.items()}
        )
    finally:
        await consumer.stop()


async def until(condition, *, within_s: float = 20.0) -> None:
    """Wait for `condition()` to hold; generous, since machines differ."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)
