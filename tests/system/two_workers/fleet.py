"""Worker processes of the role `mailbox` for tests that kill or stop them."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.config import Bootstrap
from tests.support import ROOT
from tests.system.two_workers.mailbox_worker import FENCED, UNHEALTHY

_POLL_S = 0.02


class WorkerFleet:
    """A constant number of worker processes; an end that the test did not cause fails the test."""

    def __init__(self, bootstrap: Bootstrap, folder: Path, *more: str) -> None:
        """`more`: further arguments of each worker."""
        self.bootstrap = bootstrap
        self.folder = folder
        self.kills = 0
        self.fenced = 0
        self.unhealthy = 0
        self._more = more
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._names = 0

    def start(self) -> None:
        self._names += 1
        name = f"worker-{self._names}"
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                [
                    sys.executable, "-m", "tests.system.two_workers.mailbox_worker",
                    self.bootstrap.written(), str(self.folder), name, *self._more,
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

    def suspend(self, dice: random.Random) -> str:
        """Stop one worker with SIGSTOP; return its name, for `resume`."""
        name = dice.choice(sorted(self._running))
        self._running[name].send_signal(signal.SIGSTOP)
        return name

    def resume(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGCONT)

    def tend(self) -> None:
        """Restart workers that the journal has fenced, and unhealthy workers, as a supervisor."""
        for name, process in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            assert code in {FENCED, UNHEALTHY}, f"{name} ended with {code}:\n{self.logs()}"
            del self._running[name]
            self.fenced += code == FENCED
            self.unhealthy += code == UNHEALTHY
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
