"""One Redis for tests, started with the product's own configuration."""

import asyncio
import signal
import subprocess
import time
from pathlib import Path

import pytest

from stack.engines.redis import redis
from stack.state_folder import StateFolder

START_LIMIT_S = 60


class RedisServer:
    """A server on a unix socket; it keeps its data when it is stopped and started."""

    def __init__(self, folder: Path) -> None:
        home = StateFolder(folder / "home")
        home.run.mkdir(parents=True)
        self.program = redis(home)
        self.socket = home.socket("redis")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.program.argv, env=self.program.env, cwd=self.program.cwd,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + START_LIMIT_S
        assert self.program.ready is not None
        while trouble := asyncio.run(self.program.ready()):
            assert self.process.poll() is None, trouble
            if time.monotonic() > deadline:
                pytest.fail(f"the server did not start: {trouble}")
            time.sleep(0.05)

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None
