"""Real clamd and spamd, with the configurations that the product gives them."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.engines.clamd import ClamdConfig, clamd
from stack.engines.spamd import spamd
from stack.state_folder import FOLDERS, StateFolder
from stack.supervision.program import Program
from tests.contracts.scanner_mails import Outage

NOBODY = {"user": "nobody", "group": "nogroup", "extra_groups": ()} if os.geteuid() == 0 else {}
START_MAX_S = 60.0


class Engine:
    """One engine in its own process group, so that its workers end with it."""

    def __init__(self, program: Program, path: Path) -> None:
        self.path = path
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._program.argv,
            env=dict(self._program.env),
            cwd=self._program.cwd,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **NOBODY,
        )
        deadline_s = time.monotonic() + START_MAX_S
        while not self._listens():
            assert self._process.poll() is None, f"{self._program.name} ended at once"
            assert time.monotonic() < deadline_s, f"{self._program.name} does not listen"
            time.sleep(0.05)

    def stop(self) -> None:
        """As an operator stops it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self.signal_all(signal.SIGKILL)
            self._process = None

    def kill(self) -> None:
        assert self._process is not None
        self.signal_all(signal.SIGKILL)
        self._process.wait(10)
        self._process = None

    def signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def outage(self) -> Outage:
        return Outage(begin=self.stop, end=self.start)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.path)) == 0


def owned_by_the_engine(folder: Path) -> None:
    if NOBODY:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")


def running(name: str, program: Callable[[StateFolder], Program]) -> Iterator[Engine]:
    """An engine in a folder of its own, which it (as nobody) can reach; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pr-", dir="/tmp"))
    home = StateFolder(folder)
    for sub in FOLDERS:
        (folder / sub).mkdir(mode=0o700)
    made = program(home)
    owned_by_the_engine(folder)
    engine = Engine(made, home.socket(name))
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()
        shutil.rmtree(folder)


def own_set_only(**limits: int) -> Callable[[StateFolder], Program]:
    """clamd with the test signatures, whatever this machine has besides."""
    return lambda home: clamd(home, ClamdConfig(official=home.path / "none", **limits))


@pytest.fixture(scope="module")
def clamd_engine() -> Iterator[Engine]:
    yield from running("clamd", own_set_only())


@pytest.fixture
def narrow_clamd() -> Iterator[Engine]:
    """A clamd that gives up on mails whose parts exceed 1 MiB together."""
    yield from running("clamd", own_set_only(scan_max_bytes=1024 * 1024))


@pytest.fixture(scope="module")
def spamd_engine() -> Iterator[Engine]:
    yield from running("spamd", spamd)
