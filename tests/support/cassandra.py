"""One Cassandra node for tests, started with the product's own configuration."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stack.engines.cassandra import CassandraConfig, cassandra
from stack.state_folder import StateFolder
from tests.support import ROOT
from tests.support.broker import free_ports

JARS = ROOT / ".tools" / "cassandra" / "lib"
START_LIMIT_S = 240  # a busy machine takes a minute


class CassandraNode:
    """A node on free ports; it keeps its data when it is stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.port, storage_port = free_ports(2)
        self._log = folder / "out.log"
        self._process: subprocess.Popen[bytes] | None = None
        config = CassandraConfig(
            lib=JARS, port=self.port, storage_port=storage_port, heap_max_mib=768
        )
        self.program = cassandra(StateFolder(folder / "home"), config)

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.program.argv, env=self.program.env, cwd=self.program.cwd,
                stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if self.trouble() is None:
                return
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            time.sleep(0.2)
        pytest.fail("the node did not start")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def trouble(self) -> str | None:
        """The reason why the node is not ready, or None."""
        assert self.program.ready is not None
        return asyncio.run(self.program.ready())

    def stop(self, how: int = signal.SIGTERM) -> int | None:
        """Return the exit code."""
        if self._process is None:
            return None
        self._process.send_signal(how)
        code = self._process.wait(60)
        self._process = None
        return code


@contextmanager
def started(folder: Path) -> Iterator[CassandraNode]:
    """Run a node within the block."""
    node = CassandraNode(folder)
    try:
        node.start()
        yield node
    finally:
        node.stop()
