"""A backup of a running Postriver: everything that was accepted before it began is in it.

The order is what makes it whole. A mail's content is written before anything that refers to it, and
each stage's output before its input is committed; so:
1. most contents are copied, which takes long and hurts nobody;
2. what readers have committed is asked. A record that is committed by now has its outputs further
   down the log, or in the stores, before what follows;
3. SQLite files are taken as of one instant (stores/sqlite/consistent_copy.py), but for contents;
4. the log is read, from what was committed to its end (streams/readers/log_snapshot.py). What it
has and the
   stores have too is recognised when it is put back;
5. the file of small contents and the contents that came meanwhile are copied;
6. the rest of the folder; everything synced; the manifest.
From before the first step to after the last a lease (cli/backup/content_lease.py) stops the sweep:
no content that a copy refers to can go before it is copied itself. A backup that loses its lease
fails. Left out: the broker's own files, engines, logs, sockets: a restored folder makes them anew.
"""

import asyncio
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cli.backup import manifest as form
from cli.backup.content_lease import contents_kept
from cli.backup.manifest import Manifest, Sums
from cli.config.config import Config
from mail.clock import now_ms, rfc3339
from mail.errors import Refused
from stack.state_folder import version_of
from stores.sqlite.consistent_copy import DatabaseSnapshot, consistent_snapshots
from streams.config import Bootstrap
from streams.log_client import Offsets
from streams.readers import log_snapshot

LEFT_OUT = frozenset({
    "run", "log", "kafka", "engines", "signatures", "secrets", "lock", "content", "version",
    "stores",
})  # fmt: skip
ROOM_LEFT_BYTES, ROOM_LEFT_SHARE = 2 * 1024**3, 0.1  # the smaller; on the disk of the state folder
_FICLONE = 0x40049409  # ioctl_ficlone(2): Btrfs, XFS and others share the blocks, copied on write
BACKUP_LOG = "log/backup.log"  # a line for each; its date tells how old the last one is
_Log = dict[str, int] | None  # waiting records by topic


@dataclass
class Backup:
    """One backup under way, from `home` into the empty folder `target`."""

    home: Path
    target: Path
    sums: Sums

    def contents(self) -> None:
        """Every content that is not in the backup yet."""
        for folder in _folders(self.home / "content"):
            into = self._made(Path("content") / folder.name)
            for path in folder.iterdir():
                with suppress(FileNotFoundError):  # swept since it was listed
                    self._content(path, into / path.name)

    def databases_and_log(self, bootstrap: Bootstrap | None) -> tuple[dict[str, int], _Log]:
        """Schemas' versions by file; waiting records by topic, None when there is no `bootstrap`.

        BrokerUnavailable.
        """
        paths = sorted({*(self.home / "data").rglob("*.sqlite")} - {*self._small_contents})
        first = asyncio.run(log_snapshot.unfinished(bootstrap)) if bootstrap else {}
        with consistent_snapshots(paths) as views:
            log = asyncio.run(self._log(bootstrap, first)) if bootstrap else None
            schemas = {self._name(path): self._database(path, views[path]) for path in paths}
        with consistent_snapshots(self._small_contents) as views:
            # Last, because the log's records refer to these contents.
            for path, view in views.items():
                schemas[self._name(path)] = self._database(path, view)
        return schemas, log

    @property
    def _small_contents(self) -> list[Path]:
        path = self.home / "data" / "content.sqlite"
        return [path] if path.exists() else []  # no start of this version has made it yet

    def rest(self) -> None:
        """Certificates, and whatever else lies in the folder."""
        for path in sorted(self.home.rglob("*")):
            inside = path.relative_to(self.home)
            if inside.parts[0] in LEFT_OUT or ".sqlite" in path.name or not path.is_file():
                continue
            copied = self._made(inside.parent) / path.name
            self.sums.add(copied, _copied(path, copied))

    async def _log(self, bootstrap: Bootstrap, first: Offsets) -> dict[str, int]:
        path = self.target / form.RECORDS
        counts = await log_snapshot.write(path, log_snapshot.take(bootstrap, first))
        self.sums.add(path)
        return counts

    def _name(self, path: Path) -> str:
        return path.relative_to(self.home / "data").as_posix()

    def _database(self, path: Path, view: DatabaseSnapshot) -> int:
        copied = self._made(path.parent.relative_to(self.home)) / path.name
        self._check_room(path.stat().st_size)
        schema = view.copy_to(copied)
        self.sums.add(copied)
        return schema

    def _content(self, path: Path, copied: Path) -> None:
        """No hard link: a new owner or mode of the backup would be that of the live content."""
        if copied.exists():
            return
        if _cloned(path, copied):
            self.sums.add(copied)
        else:
            self._check_room(path.stat().st_size)
            self.sums.add(copied, _copied(path, copied))

    def _check_room(self, size_bytes: int) -> None:
        """Refused: `size_bytes` more would leave the disk of the state folder nearly full."""
        if self.target.stat().st_dev != self.home.stat().st_dev:
            return
        disk = shutil.disk_usage(self.target)
        left = min(ROOM_LEFT_BYTES, int(disk.total * ROOM_LEFT_SHARE))
        if disk.free - size_bytes < left:
            raise Refused(
                f"no backup was made: it would leave less than {left // 1024**2} MiB on the disk "
                f"of {self.home}, and new mail would be refused; use another disk"
            )

    def _made(self, inside: Path) -> Path:
        folder = self.target / form.HOME / inside
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder


def back_up(config: Config, target: Path, *, bootstrap: Bootstrap | None) -> Manifest:
    """Fill the empty folder `target`; without `bootstrap` the log is left out.

    Refused: not empty, or a file cannot be read or written; then nothing is left in it.
    """
    began_at = rfc3339(now_ms())
    with _emptied_on_failure(target):
        with contents_kept(config.home, f"backup to {target}"), closing(Sums(target)) as sums:
            made = Backup(config.home.resolve(), target, sums)
            made.contents()
            schemas, log = made.databases_and_log(bootstrap)
            made.contents()
            made.rest()
        manifest = Manifest(
            format=form.FORMAT,
            postriver=version("postriver"),
            state=version_of(config.home),
            began_at=began_at,
            ended_at=rfc3339(now_ms()),
            files=sums.files,
            size_bytes=sums.size_bytes,
            sums_sha256=form.sha256_of(target / form.SUMS),
            schemas=schemas,
            log=log,
            settings=config.as_settings(),
        )
        form.write(target, manifest)
        with (config.home / BACKUP_LOG).open("a", encoding="utf-8") as log_file:
            log_file.write(f"{manifest.ended_at} {target}\n")
    return manifest


@contextmanager
def _emptied_on_failure(target: Path) -> Iterator[None]:
    """What is not whole is no backup, and must not fill a disk. Refused: it was not empty."""
    old_mask = os.umask(0o077)
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(entry.name != "lost+found" for entry in target.iterdir()):
            raise Refused(f"{target} is not empty: a backup begins in an empty folder")
        try:
            yield
        except BaseException:
            _empty(target)
            raise
    except OSError as error:
        raise Refused(f"no backup was made: {error}") from error
    finally:
        os.umask(old_mask)


def _empty(target: Path) -> None:
    for name in (form.MANIFEST, f"{form.MANIFEST}.new", form.SUMS, form.RECORDS):
        (target / name).unlink(missing_ok=True)
    shutil.rmtree(target / form.HOME, ignore_errors=True)


def _folders(content: Path) -> Iterator[Path]:
    for folder in sorted(content.iterdir()):
        if folder.is_dir() and folder.name != "incoming":
            yield folder


def _cloned(path: Path, copied: Path) -> bool:
    """Whether the disk made a copy that shares its blocks; False leaves nothing behind."""
    with path.open("rb") as source, copied.open("xb") as target:
        os.fchmod(target.fileno(), 0o600)
        try:
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
        except OSError:
            copied.unlink()
            return False
    return True


def _copied(path: Path, copied: Path) -> str:
    """Copy byte for byte, readable for us alone; the SHA-256."""
    with path.open("rb") as source, copied.open("xb") as target:
        os.fchmod(target.fileno(), 0o600)
        return form.pour(source, target)
