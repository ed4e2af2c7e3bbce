"""Fixtures: real clamd and spamd with the configuration of the product."""

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
from tests.support.engine import NOBODY, give_to_nobody

START_MAX_S = 60.0


class Engine:
    """One engine in a process group of its own, so that its workers can be killed with it."""

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
        """Stop the engine by SIGTERM, as an operator does."""
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


def run_engine(name: str, program: Callable[[StateFolder], Program]) -> Iterator[Engine]:
    """Run an engine in a temporary folder that the user of the engine can access."""
    folder = Path(tempfile.mkdtemp(prefix="pr-", dir="/tmp"))
    home = StateFolder(folder)
    for sub in FOLDERS:
        (folder / sub).mkdir(mode=0o700)
    engine = Engine(program(home), home.socket(name))
    give_to_nobody(folder)
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()
        shutil.rmtree(folder)


def test_signatures_only(**limits: int) -> Callable[[StateFolder], Program]:
    """clamd with the test signatures and no other signatures of this machine."""
    return lambda home: clamd(home, ClamdConfig(official=home.path / "none", **limits))


@pytest.fixture(scope="module")
def clamd_engine() -> Iterator[Engine]:
    yield from run_engine("clamd", test_signatures_only())


@pytest.fixture
def narrow_clamd() -> Iterator[Engine]:
    """clamd that refuses mails with more than 1 MiB of parts in total."""
    yield from run_engine("clamd", test_signatures_only(scan_max_bytes=1024 * 1024))


@pytest.fixture(scope="module")
def spamd_engine() -> Iterator[Engine]:
    yield from run_engine("spamd", spamd)
