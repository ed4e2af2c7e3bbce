"""Contents in a local folder: one file per mail, on disk before `put` answers.

The half of a content store that keeps large contents (stores/sqlite/content_store.py).

    FOLDER/cd/MAIL_ID    by the id's last two characters: a UUIDv7 begins with its time, so its
                         beginning would fill one folder after another
    FOLDER/incoming/     files being written; each is moved into place once it is on disk

A file that is in place is whole. After it, its folder is synced, so that the name survives too.
256 folders hold ten million mails at 40,000 each, which ext4 and XFS take well; a second level
would be 65,536 folders that each cost their first mail two more syncs.
"""

import asyncio
import contextlib
import functools
import hashlib
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from mail.durable_files import sync_folder, write_new_file
from mail.errors import ContentMissing, StoreUnavailable
from mail.ids import check_content_id, is_content_id
from schemas.content import Stored

T = TypeVar("T")
_FOLDER_CHARS = 2
_BEHIND = "~"  # sorts after all that ids are made of


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemContentConfig:
    """How one process uses the folder."""

    threads: int = 8  # files written or read at once
    leftover_age_s: float = 3600.0  # an unfinished file this old has no writer any more


class FilesystemContentStore:
    """Made by `open`; `close` it. The reference of a content is its mail id."""

    def __init__(self, folder: Path, config: FilesystemContentConfig) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._config = config
        self._threads = ThreadPoolExecutor(config.threads, thread_name_prefix="content")
        self._closed = False

    @classmethod
    async def open(cls, folder: Path, config: FilesystemContentConfig | None = None) -> Self:
        """Make the folder, remove what writers that died left. StoreUnavailable."""
        store = cls(folder, config or FilesystemContentConfig())
        await store._run(store._prepare)
        return store

    async def close(self) -> None:
        """Finish what was asked; later calls raise StoreUnavailable."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)

    async def put(self, mail_id: str, content: bytes) -> Stored:
        check_content_id(mail_id)
        return await self._run(functools.partial(self._put, mail_id, content))

    async def get(self, ref: str) -> bytes:
        if not is_content_id(ref):
            raise ContentMissing(ref)
        return await self._run(functools.partial(self._get, ref))

    async def part(self, ref: str, *, start: int, size_bytes: int) -> bytes:
        if not is_content_id(ref):
            raise ContentMissing(ref)
        return await self._run(functools.partial(self._part, ref, start, size_bytes))

    async def walk(self, *, place: str | None, limit: int) -> tuple[list[str], str | None]:
        """As ContentSweep.walk."""
        return await self._run(functools.partial(self._walk, place or "", limit))

    def _walk(self, place: str, limit: int) -> tuple[list[str], str | None]:
        """A place is FOLDER/NAME, or FOLDER~ behind it; one call looks into one folder only."""
        folder, _, after = place.partition("/")
        folders = sorted(one for one in self._folder.iterdir() if len(one.name) == _FOLDER_CHARS)
        here = next((one for one in folders if one.name >= folder), None)
        if here is None:
            return [], None
        after = after if here.name == folder else ""
        names = sorted(one.name for one in here.iterdir() if one.name > after)[:limit]
        found = [name for name in names if is_content_id(name)]
        return found, f"{here.name}/{names[-1]}" if len(names) == limit else here.name + _BEHIND

    def remove(self, ref: str) -> None:
        """For those who are on a thread already; absent: no error, and not synced. OSError."""
        self._place(ref).unlink(missing_ok=True)

    def has(self, ref: str) -> bool:
        """Whether there is a file; for those who are on a thread already. OSError."""
        return self._place(ref).is_file()

    async def missing(self, refs: Iterable[str]) -> list[str]:
        return await self._run(functools.partial(self._absent, tuple(refs)))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise StoreUnavailable("content", "closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            raise StoreUnavailable("content", str(error)) from error

    def _prepare(self) -> None:
        _make_folder(self._folder)
        _make_folder(self._incoming)
        eldest_s = time.time() - self._config.leftover_age_s
        for leftover in self._incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process sweeps too
                if leftover.stat().st_mtime < eldest_s:
                    leftover.unlink()

    def _put(self, mail_id: str, content: bytes) -> Stored:
        """The first content of an id stays; its folder is synced again, lest its writer did not."""
        place = self._place(mail_id)
        try:
            kept = place.read_bytes()
        except FileNotFoundError:
            kept = content
            self._write(place, content)
        sync_folder(place.parent)
        return Stored(mail_id, len(kept), hashlib.sha256(kept).hexdigest())

    def _get(self, ref: str) -> bytes:
        return self._part(ref, 0, -1)

    def _part(self, ref: str, start: int, size_bytes: int) -> bytes:
        """A folder that is gone as a whole (a disk not mounted) is no missing mail.

        `size_bytes` -1: to the end.
        """
        try:
            with self._place(ref).open("rb") as file:
                file.seek(start)
                return file.read(size_bytes)
        except FileNotFoundError:
            self._incoming.stat()
            raise ContentMissing(ref) from None
        except OSError as error:
            raise StoreUnavailable("content", str(error), served_s=self._served_s()) from error

    def _served_s(self) -> float:
        """Now (monotonic) if another content can be written and read, so that one file is bad."""
        probe = self._incoming / uuid.uuid4().hex
        try:
            write_new_file(probe, b"probe")
            served = probe.read_bytes() == b"probe"
            probe.unlink()
        except OSError:
            return 0.0
        return time.monotonic() if served else 0.0

    def _absent(self, refs: tuple[str, ...]) -> list[str]:
        gone = [ref for ref in refs if not (is_content_id(ref) and self.has(ref))]
        if gone:
            self._incoming.stat()
        return gone

    def _place(self, mail_id: str) -> Path:
        return self._folder / mail_id.rjust(_FOLDER_CHARS, "0")[-_FOLDER_CHARS:] / mail_id

    def _write(self, place: Path, content: bytes) -> None:
        incoming = self._incoming / uuid.uuid4().hex
        try:
            write_new_file(incoming, content)
            _move(incoming, place)
        except BaseException:
            incoming.unlink(missing_ok=True)
            raise


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except FileNotFoundError:
        _make_folder(target.parent)
        source.rename(target)


def _make_folder(folder: Path) -> None:
    """Make it, its parents too, and have its name on disk."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    sync_folder(folder.parent)
