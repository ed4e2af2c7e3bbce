"""Backups that are made during a run, and whether a stack restored from one is whole."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.stack_world import World, free_port_base, started

from .load import Load
from .proof import wait_until_drained


@dataclass(slots=True)
class Copies:
    """Below `folder`. `accepted`: ids of the mails that had their 250 before the last one began."""

    folder: Path
    load: Load | None = None
    accepted: set[str] = field(default_factory=set)
    last: Path | None = None

    def make(self, world: World) -> None:
        assert self.load is not None
        before = {one.mail_id for one in self.load.answers if one.outcome == "accepted"}
        folder = self.folder / "backup"
        shutil.rmtree(folder, ignore_errors=True)
        world.cli("backup", str(folder), timeout_s=300)
        self.last, self.accepted = folder, before

    def findings(self) -> Iterator[str]:
        """The last backup restored on ports of its own: nothing missing, nothing that differs."""
        if self.last is None:
            return
        again = World(self.folder / "restored", free_port_base())
        again.cli("restore", str(self.last), timeout_s=300)
        with started(again):
            wait_until_drained(again)
            for command in (("audit", "--json"), ("verify", "--content")):
                done = again.cli(*command, check=False, timeout_s=300)
                if done.returncode != 0:
                    yield f"restored: {command[0]}: {done.stdout[-800:]}{done.stderr[-500:]}"
            for mail_id in sorted(self.accepted):
                if again.cli("trace", mail_id, "--json", check=False).returncode != 0:
                    yield f"restored: {mail_id} had its 250 before the backup and is unknown"
