"""A real broker for the tools around the river, and small helpers to fill its topics."""

import asyncio
import itertools
import os
import shutil
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

JARS = Path(__file__).parents[2] / ".tools" / "kafka" / "lib"
JAVA = ("java", "-Xms128m", "-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
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
        self.folder = folder
        self.port, controller = free_ports(2)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        self._properties = folder / "server.properties"
        self._properties.write_text(
            "process.roles=broker,controller\nnode.id=1\n"
            f"controller.quorum.voters=1@127.0.0.1:{controller}\n"
            f"listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}\n"
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}\n"
            "controller.listener.names=CONTROLLER\n"
            f"log.dirs={folder / 'data'}\n"
            "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n"
            "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
            "group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n"
            "message.max.bytes=4194304\nlog.initial.task.delay.ms=500\n"
        )

    def _run(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*JAVA, "-cp", f"{JARS}/*", *arguments, str(self._properties)],
            stdout=(self.folder / "log").open("ab"),
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        )

    def format(self) -> None:
        """Give the node a new, empty cluster, under a new id."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        cluster = subprocess.check_output(
            [*JAVA, "-cp", f"{JARS}/*", "kafka.tools.StorageTool", "random-uuid"], text=True
        )
        done = self._run("kafka.tools.StorageTool", "format", "-t", cluster.split()[-1], "-c")
        assert done.wait(60) == 0, (self.folder / "log").read_text()[-2000:]

    def start(self) -> None:
        self._process = self._run("kafka.Kafka")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        pytest.fail("the broker did not come up")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
            self._process = None


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    made = Broker(tmp_path_factory.mktemp("river_tools") / "kafka")
    made.format()
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
