"""A backup of a running Postriver: everything that was accepted before it began is in it.

The order is what makes it whole. A mail's content is written before anything that refers to it, and
each stage's output before its input is committed; so copies are taken against the stream:
1. most contents, which takes long and hurts nobody;
2. the log: commits first, ends last (streams/waiting.py). A mail that has left a topic by then
   has reached what is copied later;
3. all SQLite files, of one instant (stores/sqlite_copies.py);
4. the contents that came meanwhile. None that the copied rows refer to can have gone: a content
   without holders stays for days;
5. the rest of the folder; everything synced; the manifest.
What the log had and the stores have too is recognised when it is put back. Left out: the broker's
own files, engines, virus signatures, logs, sockets: a restored folder makes them anew.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cli.accounts import now_ms
from cli.care import manifest as form
from cli.care.manifest import Manifest, Sums
from cli.commands.render import when
from cli.config import Config
from mail.errors import Refused
from stack.home import version_of
from stores.sqlite_copies import copy, one_moment
from streams import waiting

LEFT_OUT = frozenset({"run", "log", "kafka", "engines", "signatures", "lock", "content", "version"})
BACKUP_LOG = "log/backup.log"  # a line for each; its date tells how old the last one is
_TRIES = 3


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

    def databases(self) -> dict[str, int]:
        """All SQLite files of one moment; their schemas' versions."""
        data = self.home / "data"
        paths = sorted(data.rglob("*.sqlite"))
        versions = {}
        with one_moment(paths) as views:
            for path in paths:
                copied = self._made(path.parent.relative_to(self.home)) / path.name
                versions[path.relative_to(data).as_posix()] = copy(views[path], copied)
                self.sums.add(copied)
        return versions

    def rest(self) -> None:
        """Certificates, and whatever else lies in the folder."""
        for path in sorted(self.home.rglob("*")):
            inside = path.relative_to(self.home)
            if inside.parts[0] in LEFT_OUT or ".sqlite" in path.name or not path.is_file():
                continue
            copied = self._made(inside.parent) / path.name
            self.sums.add(copied, _copied(path, copied))

    async def log(self, bootstrap: str) -> dict[str, int]:
        """What waits in the log, by topic. BrokerUnavailable."""
        path = self.target / form.RECORDS
        for left in reversed(range(_TRIES)):
            try:
                counts = await waiting.write(path, waiting.take(bootstrap))
            except waiting.Trimmed:
                if not left:
                    raise
            else:
                break
        self.sums.add(path)
        return counts

    def _content(self, path: Path, copied: Path) -> None:
        """A content never changes, so a second name for it will do where the disk is the same."""
        if copied.exists():
            return
        try:
            copied.hardlink_to(path)
        except FileNotFoundError:
            raise
        except OSError:
            self.sums.add(copied, _copied(path, copied))
        else:
            self.sums.add(copied)

    def _made(self, inside: Path) -> Path:
        folder = self.target / form.HOME / inside
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder


def back_up(config: Config, target: Path, *, bootstrap: str | None) -> Manifest:
    """Fill the empty folder `target`; without `bootstrap` the log is left out.

    Refused: not empty, or a file cannot be read or written; then nothing is left in it.
    """
    began_at = when(now_ms())
    with _emptied_on_failure(target):
        with closing(Sums(target)) as sums:
            made = Backup(config.home.resolve(), target, sums)
            made.contents()
            log = asyncio.run(made.log(bootstrap)) if bootstrap else None
            schemas = made.databases()
            made.contents()
            made.rest()
        manifest = Manifest(
            format=form.FORMAT,
            postriver=version("postriver"),
            state=version_of(config.home),
            began_at=began_at,
            ended_at=when(now_ms()),
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


def _copied(path: Path, copied: Path) -> str:
    """Copy byte for byte, readable for us alone; the SHA-256."""
    with path.open("rb") as source, copied.open("xb") as target:
        os.fchmod(target.fileno(), 0o600)
        return form.pour(source, target)
