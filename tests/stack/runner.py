"""A supervisor for tests: `runner.py HOME SPEC`, SPEC a JSON object that lists programs."""

import asyncio
import json
import logging
import sys
from pathlib import Path

from stack.engines.clamd import clamd
from stack.engines.kafka import KafkaConfig, kafka
from stack.engines.spamd import spamd
from stack.privileges import become
from stack.state_folder import AlreadyRunning, StateFolder, claimed
from stack.supervision.program import REFUSED, Program, ProgramKind, base_env
from stack.supervision.supervised_process import TaskRefused
from stack.supervision.supervisor import Supervisor
from stack.supervision.supervisor_log import supervisor_log


def main() -> int:
    path, spec = Path(sys.argv[1]), json.loads(sys.argv[2])
    if spec.get("unprivileged"):
        become(path)
    try:
        with claimed(path) as home:
            programs = [program(home, each) for each in spec["programs"]]
            return asyncio.run(supervise(home, programs, spec))
    except TaskRefused as refused:
        print(refused)
        return REFUSED
    except AlreadyRunning as running:
        print(running)
        return 3


async def supervise(home: StateFolder, programs: list[Program], spec: dict) -> int:
    async def greeted() -> None:
        (home.run / "greeted").touch()

    supervisor = Supervisor(
        programs,
        home,
        ops=("127.0.0.1", 0),
        warnings=list(spec.get("warnings", [])).copy,
        facts=lambda: {"signatures": "test"},
        on_ready=greeted,
    )
    with supervisor_log(home, logging.Formatter("%(message)s")):
        return await supervisor.run()


def program(home: StateFolder, spec: dict) -> Program:
    if spec["name"] == "kafka":
        return kafka(home, KafkaConfig(**{**spec["kafka"], "lib": Path(spec["kafka"]["lib"])}))
    if spec["name"] in {"clamd", "spamd"}:
        return {"clamd": clamd, "spamd": spamd}[spec["name"]](home)
    code = spec.pop("code")
    wait_for = spec.pop("ready_file", None)
    need = spec.pop("waits_for", None)
    http = home.socket(spec["name"]) if spec.pop("http", False) else None
    return Program(
        kind=ProgramKind(spec.pop("kind", "role")),
        argv=(sys.executable, "-c", code),
        env=base_env(home, {"PYTHONUNBUFFERED": "1"}),
        cwd=Path(spec.pop("cwd", home.run)),
        ready=file_probe(home.run / wait_for) if wait_for else None,
        http=http,
        not_yet=lambda: f"no {need}" if need and not (home.run / need).exists() else None,
        after=tuple(spec.pop("after", ())),
        **spec,
    )


def file_probe(path: Path):
    async def probe() -> str | None:
        return None if path.exists() else f"no {path.name}"

    return probe


if __name__ == "__main__":
    sys.exit(main())
