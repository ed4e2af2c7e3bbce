"""An engine of the stack for tests, started with the product's own configuration."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pytest

from stack.supervision.program import Program

NOBODY = {"user": "nobody", "group": "nogroup", "extra_groups": ()} if os.geteuid() == 0 else {}
START_LIMIT_S = 240  # a busy machine takes a minute
STOP_LIMIT_S = 60


class Engine:
    """A program, its process, and its output in `log`. It keeps its data between starts.

    `owner`: arguments of Popen for its user; by default that of the test.
    """

    def __init__(self, program: Program, log: Path, owner: Mapping[str, Any] | None = None) -> None:
        self.program = program
        self._log = log
        self._owner = owner or {}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it is ready."""
        self.program.before_start()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self.program.argv, env=self.program.env, cwd=self.program.cwd,
                stdout=log, stderr=log, **self._owner,
            )  # fmt: skip
        deadline = time.monotonic() + START_LIMIT_S
        while trouble := self.trouble():
            assert self.process.poll() is None, self._log.read_text()[-2000:]
            if time.monotonic() > deadline:
                pytest.fail(f"{self.program.name} did not start: {trouble}")
            time.sleep(0.1)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def trouble(self) -> str | None:
        """The reason why it is not ready, or None."""
        assert self.program.ready is not None
        return asyncio.run(self.program.ready())

    def stop(self, how: int = signal.SIGTERM) -> int | None:
        """Return the exit code; None if it does not run."""
        if self.process is None:
            return None
        self.process.send_signal(how)
        code = self.process.wait(STOP_LIMIT_S)
        self.process = None
        return code

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop(signal.SIGKILL)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def give_to_nobody(folder: Path) -> None:
    """Give all of `folder` to the user of an engine that must not be root."""
    if NOBODY:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")
