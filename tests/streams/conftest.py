"""A real broker, small topics and worker processes for the tests of the river."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from streams.config import PublisherConfig, TopicsConfig
from streams.publisher import KafkaPublisher

JARS = Path(__file__).parents[2] / ".tools" / "kafka" / "lib"
JAVA = ("java", "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
START_LIMIT_S = 60


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Broker:
    """One Kafka node on a free port; it may be stopped, started and wiped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, controller = free_ports(2)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
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
            "offsets.retention.minutes=2147483647\n"
            "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
            "share.coordinator.state.topic.replication.factor=1\n"
            "share.coordinator.state.topic.min.isr=1\n"
            "group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n"
        )

    def _run(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*JAVA, "-cp", f"{JARS}/*", *arguments, str(self._properties)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            )

    def format(self) -> None:
        """Begin a new, empty cluster."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        tool = "kafka.tools.StorageTool"
        made = subprocess.check_output([*JAVA, "-cp", f"{JARS}/*", tool, "random-uuid"], text=True)
        assert self._run(tool, "format", "-t", made.split()[-1], "-c").wait(60) == 0

    def start(self) -> None:
        self.process = self._run("kafka.Kafka")
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        pytest.fail("the broker did not come up")

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None


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
    made = Broker(tmp_path_factory.mktemp("streams") / "kafka")
    made.format()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker for tests that stop it."""
    made = Broker(tmp_path / "kafka")
    made.format()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def topics_config(broker: Broker) -> TopicsConfig:
    return TopicsConfig(bootstrap=broker.bootstrap, partitions=3)


@pytest.fixture
async def publisher(broker: Broker) -> AsyncIterator[KafkaPublisher]:
    made = KafkaPublisher(PublisherConfig(bootstrap=broker.bootstrap))
    await made.start()
    yield made
    await made.stop()


async def until(condition, *, within_s: float = 30.0) -> None:
    """Wait for `condition()` to hold; generous, since machines differ."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)
