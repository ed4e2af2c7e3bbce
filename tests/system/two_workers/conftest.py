"""A real broker, the topics of the table, and worker processes of the role `mailbox` to kill."""

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from stores.sqlite.directory.store import SqliteDirectory
from stores.sqlite.mail_store.store import SqliteMailStore
from streams.config import Bootstrap, TopicsConfig
from streams.topics.admin import ensure_topics
from tests.support import ROOT
from tests.support.broker import Broker, started
from tests.system.two_workers.mailbox_worker import FENCED

_POLL_S = 0.02


class WorkerFleet:
    """A constant number of worker processes; an end that the test did not cause fails the test."""

    def __init__(self, bootstrap: Bootstrap, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.folder = folder
        self.kills = 0
        self.fenced = 0
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._names = 0

    def start(self) -> None:
        self._names += 1
        name = f"worker-{self._names}"
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                [
                    sys.executable, "-m", "tests.system.two_workers.mailbox_worker",
                    self.bootstrap.written(), str(self.folder), name,
                ],
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self, dice: random.Random) -> None:
        """Kill one worker with SIGKILL and start another."""
        name = dice.choice(sorted(self._running))
        process = self._running[name]
        process.kill()
        if process.wait(20) == FENCED:
            self.fenced += 1
        else:
            assert process.returncode == -signal.SIGKILL, self.logs()
            self.kills += 1
        del self._running[name]
        self.start()

    def tend(self) -> None:
        """Restart workers that the journal has fenced, as the supervisor does."""
        for name, process in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            assert code == FENCED, f"{name} ended with {code}:\n{self.logs()}"
            del self._running[name]
            self.fenced += 1
            self.start()

    def stop(self) -> list[int]:
        """Send SIGTERM to all; return their exit codes."""
        for process in self._running.values():
            process.terminate()
        ends = [process.wait(60) for process in self._running.values()]
        self._running.clear()
        return ends

    def end(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait(20)
        self._running.clear()

    async def until(self, condition: Callable[[], bool], *, within_s: float = 90.0) -> None:
        """Wait for `condition`; the limit is generous, because the test asserts no speed."""
        ends_s = time.monotonic() + within_s
        while not condition():
            self.tend()
            if time.monotonic() > ends_s:
                pytest.fail(f"not within {within_s} s; their logs:\n{self.logs()}")
            await asyncio.sleep(_POLL_S)

    def logs(self) -> str:
        files = [self._log(f"worker-{number + 1}") for number in range(self._names)]
        return "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in files)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


class Journalled:
    """The sum of all mailboxes' seq, read from the store while workers write it."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(f"file:{folder / 'mail.sqlite'}?mode=ro", uri=True)

    def __call__(self) -> int:
        (total,) = self._connection.execute("SELECT sum(seq) FROM mailbox").fetchone()
        return total or 0

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with started(folder) as made:
        yield made


@pytest.fixture
async def epochs(broker: Broker, tmp_path: Path) -> dict[str, str]:
    """Create all topics as the set-up does; the epochs are in the directory that workers read."""
    directory = await SqliteDirectory.open(tmp_path / "directory.sqlite")
    try:
        return await ensure_topics(TopicsConfig(bootstrap=broker.bootstrap), directory)
    finally:
        await directory.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteMailStore]:
    made = await SqliteMailStore.open(tmp_path / "mail.sqlite")
    yield made
    await made.close()


@pytest.fixture
def journalled(store: SqliteMailStore, tmp_path: Path) -> Iterator[Journalled]:
    made = Journalled(tmp_path)
    yield made
    made.close()


@pytest.fixture
def fleet(broker: Broker, epochs: dict[str, str], tmp_path: Path) -> Iterator[WorkerFleet]:
    made = WorkerFleet(broker.bootstrap, tmp_path)
    yield made
    made.end()
