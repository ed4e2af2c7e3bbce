"""Backups taken during a run, and the check that a stack restored from a backup is complete."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.stack_world import World, free_port_base, started

from .load import Load
from .proof import wait_until_drained


@dataclass(slots=True)
class Backups:
    """Backups in `folder`. `accepted`: ids of mails accepted before the last backup began."""

    folder: Path
    load: Load | None = None
    accepted: set[str] = field(default_factory=set)
    last: Path | None = None

    def take(self, world: World) -> None:
        assert self.load is not None
        accepted = {
            attempt.mail_id for attempt in self.load.attempts if attempt.outcome == "accepted"
        }
        folder = self.folder / "backup"
        shutil.rmtree(folder, ignore_errors=True)
        world.cli("backup", str(folder), timeout_s=300)
        self.last, self.accepted = folder, accepted

    def findings(self) -> Iterator[str]:
        """Restore the last backup as a second stack; report missing mails and differences."""
        if self.last is None:
            return
        restored = World(self.folder / "restored", free_port_base())
        restored.cli("restore", str(self.last), timeout_s=300)
        with started(restored):
            wait_until_drained(restored)
            for command in (("audit", "--json"), ("verify", "--content")):
                done = restored.cli(*command, check=False, timeout_s=300)
                if done.returncode != 0:
                    yield f"restored: {command[0]}: {done.stdout[-800:]}{done.stderr[-500:]}"
            for mail_id in sorted(self.accepted):
                if restored.cli("trace", mail_id, "--json", check=False).returncode != 0:
                    yield f"restored: {mail_id} was accepted before the backup and is unknown"
