"""A separate stack for benchmarks: all or some programs of the product, with or without spamd.

`python -m benchmarks.stack [--stand-in] [--only NAME,NAME]` runs the stack in the foreground with
the same settings as `postriver up`; `--stand-in` replaces spamd by benchmarks/spamc.py.
"""

import argparse
import asyncio
import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.config.config import Config, load
from cli.programs import programs
from cli.wiring.store_files import prepare
from stack.privileges import become
from stack.state_folder import StateFolder, StateFolderError, claimed, existing, lock_holder
from stack.supervision.client import NotRunning, read_status
from stack.supervision.program import Program
from stack.supervision.supervisor import Supervisor
from tests.support.stack_world import free_port_base

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT_S = 420.0
POLL_S = 0.05


class Stack:
    """One state folder and its stack."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.config: Config = load(
            {
                "POSTRIVER_HOME": str(folder / "home"),
                "POSTRIVER_PORT_BASE": str(free_port_base()),
                "POSTRIVER_HOSTNAME": "mx.bench.test",
                "POSTRIVER_CONNECTIONS_PER_PEER_MAX": "500",  # the load stands for many peers
                "POSTRIVER_SMTP_TRUSTED": "127.0.0.0/8",
                "POSTRIVER_HTTP_REQUESTS_PER_MINUTE": "0",
                **settings,
            }
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        return self.config.home

    def run(self, module: str, *words: str) -> str:
        """Run `python -m module words` with the settings of this stack, and return its output."""
        done = subprocess.run(
            [sys.executable, "-m", module, *words],
            env=self._env(), cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return done.stdout

    def up(self, *how: str) -> float:
        """Start the stack, and return the seconds until it is ready.

        `ingress` may still wait for a domain.
        Raises RuntimeError with the end of the log: the stack did not become ready.
        """
        began_s = time.monotonic()
        with (self.home.parent / "stack.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.stack", *how],
                env=self._env(), cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() - began_s > START_LIMIT_S:
                raise RuntimeError((self.home.parent / "stack.log").read_text()[-2000:])
            time.sleep(POLL_S)
        return time.monotonic() - began_s

    def down(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(60)

    def pids(self) -> dict[str, int]:
        """Return the pids of all processes of the stack, including the supervisor."""
        status = self._status()
        rows = status["processes"] + status["engines"]
        assert self._process is not None
        return {row["name"]: row["pid"] for row in rows} | {"supervisor": self._process.pid}

    def _ready(self) -> bool:
        status = self._status()
        return bool(status.get("state") == "ready") or list(status.get("reasons", ())) == [
            "ingress"
        ]

    def _status(self) -> dict[str, Any]:
        try:
            return read_status(self.home)
        except (NotRunning, StateFolderError):
            return {}

    def _env(self) -> dict[str, str]:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.config.as_settings()}


@contextmanager
def stack(settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A stack in a temporary folder; it is stopped and the folder removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="postriver-bench-"))
    folder.chmod(0o711)  # as root the stack runs as a user of its own
    stack_ = Stack(folder, settings or {})
    try:
        yield stack_
    finally:
        stack_.down()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(stack_: Stack, *how: str) -> Iterator[float]:
    """Run `stack_` for the length of the block; yields the seconds until it was ready."""
    took_s = stack_.up(*how)
    try:
        yield took_s
    finally:
        stack_.down()


def run_in_home(run: Callable[[StateFolder, Config], Any]) -> Any:
    """Call `run` as the owner of the state folder of the settings, with the folder locked.

    Creates the stores first, as `postriver up` does. A folder whose stack runs is only used.
    """
    config = load()
    become(config.home)
    if lock_holder(config.home) is not None:
        return run(existing(config.home), config)
    with claimed(config.home) as home:
        asyncio.run(prepare(config.home, config.profile))
        return run(home, config)


def replacement(spamd: Program, home: StateFolder) -> Program:
    script = Path(__file__).with_name("spamc.py")
    argv = (sys.executable, "-I", str(script), str(home.socket("spamd")))
    return dataclasses.replace(spamd, argv=argv, detail="a stand-in that finds nothing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stand-in", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()

    def supervise(home: StateFolder, config: Config) -> int:
        chosen = [
            replacement(program, home) if options.stand_in and program.name == "spamd" else program
            for program in programs(config, home)
            if not options.only or program.name in options.only.split(",")
        ]
        supervisor = Supervisor(chosen, home, ops=("127.0.0.1", config.ports.ops))
        return asyncio.run(supervisor.run())

    sys.exit(run_in_home(supervise))


def print_json(what: Any) -> None:
    """Print a result as one JSON line, for the process that started this program."""
    print(json.dumps(what))


if __name__ == "__main__":
    main()
