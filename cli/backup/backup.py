"""Backup of a running Postriver. It contains every mail that was accepted before the backup began.

The order of the steps makes the backup complete. The content of a mail is written before any record
or row that refers to it, and the output of a stage before its input is committed. So:
1. most contents are copied; this takes long and locks nothing;
2. the committed offsets are read. A record committed by then has its outputs in the log or in the
   stores before the steps that follow;
3. the SQLite files, without the file of small contents, are copied as of one instant
   (stores/sqlite/consistent_copy.py);
4. the log is read from the committed offsets to its end (streams/readers/log_snapshot.py). Records
   whose result is in the stores too are recognised when they are published again;
5. the file of small contents, and contents written in the meantime, are copied;
6. the rest of the folder is copied, everything is synced, and the manifest is written.
A lease (cli/backup/content_lease.py) from before step 1 to after step 6 stops the sweep, so no
content is deleted before it is copied. A backup that loses its lease fails. Not in the backup: the
broker's own files, engines, logs and sockets, which a restored folder creates again.
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
from typing import ClassVar

from cli.backup import manifest as form
from cli.backup.content_lease import contents_kept
from cli.backup.manifest import Manifest, Sums
from cli.config.config import Config
from cli.wiring.store_files import EMBEDDED
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
FREE_LEFT_BYTES, FREE_LEFT_SHARE = 2 * 1024**3, 0.1  # the smaller; on the state folder's disk
_FICLONE = 0x40049409  # ioctl_ficlone(2): shared blocks, copied on write (Btrfs, XFS and others)
BACKUP_LOG = "log/backup.log"  # a line a backup; the file's date is that of the last backup
Log = dict[str, int] | None  # unconsumed records by topic


@dataclass
class Backup:
    """A backup of the embedded profile from `home` into the empty folder `target`."""

    home: Path
    target: Path
    sums: Sums
    left_out: ClassVar[frozenset[str]] = LEFT_OUT

    def copy(self, bootstrap: Bootstrap | None) -> tuple[dict[str, int], Log]:
        """Copy everything; return schema versions, and records of the log by topic.

        Without `bootstrap` the log is left out and its result is None. Raises BrokerUnavailable.
        """
        self.contents()
        schemas, log = self.databases_and_log(bootstrap)
        self.contents()
        self.rest()
        return schemas, log

    def contents(self) -> None:
        """Copy every content that is not in the backup yet."""
        for folder in _folders(self.home / "content"):
            into = self._make_folder(Path("content") / folder.name)
            for path in folder.iterdir():
                with suppress(FileNotFoundError):  # deleted since it was listed
                    self._content(path, into / path.name)

    def databases_and_log(self, bootstrap: Bootstrap | None) -> tuple[dict[str, int], Log]:
        """Copy the SQLite files and the log. Raises BrokerUnavailable."""
        paths = sorted({*(self.home / "data").rglob("*.sqlite")} - {*self._small_contents})
        first = asyncio.run(log_snapshot.first_unconsumed(bootstrap)) if bootstrap else {}
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
        return [path] if path.exists() else []  # not created by a start of this version yet

    def rest(self) -> None:
        """Copy certificates and every other file of the folder."""
        for path in sorted(self.home.rglob("*")):
            inside = path.relative_to(self.home)
            if inside.parts[0] in self.left_out or ".sqlite" in path.name or not path.is_file():
                continue
            copied = self._make_folder(inside.parent) / path.name
            self.sums.add(copied, _copied(path, copied))

    async def _log(self, bootstrap: Bootstrap, first: Offsets) -> dict[str, int]:
        path = self.target / form.RECORDS
        counts = await log_snapshot.write(path, log_snapshot.export(bootstrap, first))
        self.sums.add(path)
        return counts

    def _name(self, path: Path) -> str:
        return path.relative_to(self.home / "data").as_posix()

    def _database(self, path: Path, view: DatabaseSnapshot) -> int:
        copied = self._make_folder(path.parent.relative_to(self.home)) / path.name
        self.check_free_space(path.stat().st_size)
        schema = view.copy_to(copied)
        self.sums.add(copied)
        return schema

    def _content(self, path: Path, copied: Path) -> None:
        """Copy one content; no hard link, since owner and mode would change on both files."""
        if copied.exists():
            return
        if _cloned(path, copied):
            self.sums.add(copied)
        else:
            self.check_free_space(path.stat().st_size)
            self.sums.add(copied, _copied(path, copied))

    def check_free_space(self, size_bytes: int) -> None:
        """Raises Refused: `size_bytes` more would leave the state folder's disk nearly full."""
        if self.target.stat().st_dev != self.home.stat().st_dev:
            return
        disk = shutil.disk_usage(self.target)
        least = min(FREE_LEFT_BYTES, int(disk.total * FREE_LEFT_SHARE))
        if disk.free - size_bytes < least:
            raise Refused(
                f"no backup was made: it would leave less than {least // 1024**2} MiB on the disk "
                f"of {self.home}, and new mail would be refused; use another disk"
            )

    def _make_folder(self, inside: Path) -> Path:
        folder = self.target / form.HOME / inside
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder


def back_up(config: Config, target: Path, *, bootstrap: Bootstrap | None) -> Manifest:
    """Make a backup in the empty folder `target`; without `bootstrap` the log is left out.

    Raises Refused: the folder is not empty, or a file cannot be read or written. StoreUnavailable,
    BrokerUnavailable: an engine does not answer. After a failure the folder is emptied.
    """
    began_at = rfc3339(now_ms())
    with _emptied_on_failure(target):
        with contents_kept(config, f"backup to {target}"), closing(Sums(target)) as sums:
            schemas, log = _backup(config, target, sums).copy(bootstrap)
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
            profile=config.profile,
        )
        form.write(target, manifest)
        with (config.home / BACKUP_LOG).open("a", encoding="utf-8") as log_file:
            log_file.write(f"{manifest.ended_at} {target}\n")
    return manifest


def _backup(config: Config, target: Path, sums: Sums) -> Backup:
    if config.profile == EMBEDDED:
        return Backup(config.home.resolve(), target, sums)
    from cli.backup.cluster_backup import ClusterBackup  # noqa: PLC0415  (drivers: 20 MB)

    return ClusterBackup(config, target, sums)


@contextmanager
def _emptied_on_failure(target: Path) -> Iterator[None]:
    """Empty `target` if the block fails. Raises Refused: it was not empty; an OSError."""
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
    for name in (form.HOME, form.CLUSTER):
        shutil.rmtree(target / name, ignore_errors=True)


def _folders(content: Path) -> Iterator[Path]:
    for folder in sorted(content.iterdir()):
        if folder.is_dir() and folder.name != "incoming":
            yield folder


def _cloned(path: Path, copied: Path) -> bool:
    """Clone the file; return False, without a copy, if the file system cannot share blocks."""
    with path.open("rb") as source, copied.open("xb") as target:
        os.fchmod(target.fileno(), 0o600)
        try:
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
        except OSError:
            copied.unlink()
            return False
    return True


def _copied(path: Path, copied: Path) -> str:
    """Copy the file, with mode 0600; return its SHA-256."""
    with path.open("rb") as source, copied.open("xb") as target:
        os.fchmod(target.fileno(), 0o600)
        return form.pour(source, target)
