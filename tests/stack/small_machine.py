"""A machine of small programs under a real supervisor in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from stack.state_folder import StateFolderError
from stack.supervision.client import NotRunning, read_status, stop
from tests.support import ROOT

RUNNER = Path(__file__).parent / "runner.py"
KAFKA_LIB = ROOT / ".tools" / "kafka" / "lib"
ENV = {"PYTHONPATH": str(ROOT), "PATH": os.defpath}

# What the small programs begin with: `note` appends a word to HOME/run/events.
NOTE = (
    "import os, signal, sys, time\n"
    "def note(word):\n"
    "  with open('events', 'a') as file: file.write(word + '\\n')\n"
)
SLEEP = "time.sleep(300)\n"


def wait_until(holds: Callable[[], object], *, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


class Machine:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.process: subprocess.Popen[bytes] | None = None

    def argv(self, *programs: dict, **spec: object) -> list[str]:
        return [
            sys.executable,
            str(RUNNER),
            str(self.home),
            json.dumps({"programs": programs, **spec}),
        ]

    def start(self, *programs: dict, **spec: object) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(self.argv(*programs, **spec), env=ENV)
        return self.process

    def status(self) -> dict:
        try:
            return read_status(self.home)
        except (NotRunning, StateFolderError):
            return {"state": "down", "processes": []}

    def row_of(self, name: str) -> dict:
        rows = [*self.status()["processes"], *self.status().get("engines", [])]
        return next((row for row in rows if row["name"] == name), {"state": None, "pid": None})

    def state_of(self, name: str) -> str | None:
        return self.row_of(name)["state"]

    def pid_of(self, name: str) -> int | None:
        return self.row_of(name)["pid"]

    def wait_ready(self, *, timeout_s: float = 30.0) -> None:
        wait_until(lambda: self.status()["state"] == "ready", timeout_s=timeout_s)

    def log(self, name: str) -> str:
        return (self.home / "log" / f"{name}.log").read_text()

    def lines(self, name: str = "events") -> list[str]:
        path = self.home / "run" / name
        return path.read_text().split() if path.exists() else []

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            finally:
                self.process.kill()
                self.process.wait()
        with suppress(StateFolderError):
            stop(self.home)


def alive(pid: int | None) -> bool:
    try:
        return pid is not None and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
