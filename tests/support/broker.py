"""One Kafka node for tests, started with the product's own configuration."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stack.engines.kafka import KafkaConfig, kafka, properties_path
from stack.secrets import secret
from stack.state_folder import StateFolder
from streams.config import Bootstrap
from streams.topics.access_rules import USERS
from tests.support import ROOT
from tests.support.certificates import ServerCertificate

JARS = ROOT / ".tools" / "kafka" / "lib"
START_LIMIT_S = 180  # a busy machine takes a minute
LISTENER = """
listeners=CLIENTS://127.0.0.1:{clients},CONTROLLER://127.0.0.1:{controller},TLS://127.0.0.1:{tls}
advertised.listeners=CLIENTS://127.0.0.1:{clients},TLS://127.0.0.1:{tls}
listener.security.protocol.map=CLIENTS:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT,TLS:SASL_SSL
listener.name.tls.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.tls.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location={keystore}
super.users=User:broker;User:setup;User:administrator
"""


def free_ports(count: int) -> list[int]:
    """Return `count` different TCP ports that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [listener.getsockname()[1] for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()


class Broker:
    """A node on a free port; it keeps its data when it is stopped and started."""

    def __init__(self, folder: Path, **more: int) -> None:
        self.port, controller_port = free_ports(2)
        self._log = folder / "out.log"
        self._process: subprocess.Popen[bytes] | None = None
        config = KafkaConfig(
            lib=JARS,
            port=self.port,
            controller_port=controller_port,
            heap_min_mib=128,
            heap_max_mib=512,
            offsets_partitions=1,
            users=("setup", *USERS),
            **more,
        )
        self._home = StateFolder(folder / "home")
        self._program = kafka(self._home, config)
        self.bootstrap = self.bootstrap_as("setup")  # a super user

    @property
    def home(self) -> StateFolder:
        return self._home

    @property
    def log_folder(self) -> Path:
        return self._home.kafka / "log"

    def bootstrap_as(self, user: str) -> Bootstrap:
        return Bootstrap(f"127.0.0.1:{self.port}", user, secret(self._home, user))

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
        pytest.fail("the broker did not start")

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None


@contextmanager
def started(folder: Path, **more: int) -> Iterator[Broker]:
    """Run a node within the block."""
    broker = Broker(folder, **more)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def add_scram_listener(broker: Broker, made: ServerCertificate) -> int:
    """Add a listener with TLS and SCRAM alone, before the start; return its port.

    Its super user is `administrator`, who gets a password by streams/topics/scram_users.py.
    """
    path, (port,) = properties_path(broker.home), free_ports(1)
    text = path.read_text()
    controller = text.partition("CONTROLLER://127.0.0.1:")[2].split()[0]
    keystore = made.both
    added = LISTENER.format(clients=broker.port, controller=controller, tls=port, keystore=keystore)
    path.write_text(text + added)
    return port
