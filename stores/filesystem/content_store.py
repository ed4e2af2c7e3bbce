"""Contents in a local folder: one file per mail, on disk when `put` returns.

The content store of stores/sqlite/content_store.py keeps its large contents here.

    FOLDER/cd/MAIL_ID    by the last two characters of the id: a UUIDv7 begins with its time, so its
                         first characters would fill one folder after another
    FOLDER/incoming/     files being written; each is synced, then renamed to its final name

A file with its final name is complete. Its folder is synced after the rename, so the name is
durable too. 256 folders hold ten million mails at 40,000 each, which ext4 and XFS handle well; a
second level would be 65,536 folders, and the first mail of each folder costs two more syncs.
"""

import asyncio
import contextlib
import functools
import hashlib
import os
import sys
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
from mail.octet_ranges import check_range
from schemas.content import Stored
from schemas.ids import MailId

T = TypeVar("T")
_FOLDER_CHARS = 2
_BEHIND = "~"  # sorts after every character of an id


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemContentConfig:
    """How one process uses the folder."""

    threads: int = 8  # files written or read at once
    leftover_age_s: float = 3600.0  # an unfinished file older than this has lost its writer


class FilesystemContentStore:
    """Create it with `open`; `close` it. The reference of a content is its mail id."""

    def __init__(self, folder: Path, config: FilesystemContentConfig) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._config = config
        self._threads = ThreadPoolExecutor(config.threads, thread_name_prefix="content")
        self._closed = False

    @classmethod
    async def open(cls, folder: Path, config: FilesystemContentConfig | None = None) -> Self:
        """Create the folder; remove files that dead writers left. Raises StoreUnavailable."""
        store = cls(folder, config or FilesystemContentConfig())
        await store._run(store._prepare)
        return store

    async def close(self) -> None:
        """Finish the calls under way, then close; later calls raise StoreUnavailable."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)

    async def put(self, mail_id: MailId, content: bytes) -> Stored:
        check_content_id(mail_id)
        return await self._run(functools.partial(self._put, mail_id, content))

    async def get(self, ref: str) -> bytes:
        if not is_content_id(ref):
            raise ContentMissing(ref)
        return await self._run(functools.partial(self._get, ref))

    async def read(self, ref: str, *, start: int, size_bytes: int) -> bytes:
        check_range(start, size_bytes)
        if not is_content_id(ref):
            raise ContentMissing(ref)
        return await self._run(functools.partial(self._read, ref, start, size_bytes))

    async def walk(self, *, place: str | None, limit: int) -> tuple[list[MailId], str | None]:
        """See ContentSweep.walk. One call reads one folder."""
        return await self._run(functools.partial(self._walk, place or "", limit))

    def _walk(self, place: str, limit: int) -> tuple[list[MailId], str | None]:
        """A position is FOLDER/NAME, after that file, or FOLDER~, after that folder."""
        name, _, after = place.partition("/")
        folders = sorted(path for path in self._folder.iterdir() if len(path.name) == _FOLDER_CHARS)
        folder = next((path for path in folders if path.name >= name), None)
        if folder is None:
            return [], None
        after = after if folder.name == name else ""
        names = sorted(path.name for path in folder.iterdir() if path.name > after)[:limit]
        refs = [MailId(name) for name in names if is_content_id(name)]
        is_last = len(names) < limit
        return refs, folder.name + _BEHIND if is_last else f"{folder.name}/{names[-1]}"

    def remove(self, ref: str) -> None:
        """Delete the file, if it exists; blocking, and not synced. Raises OSError."""
        self._path(MailId(ref)).unlink(missing_ok=True)

    def has(self, ref: str) -> bool:
        """Return whether the file exists; blocking. Raises OSError."""
        return self._path(MailId(ref)).is_file()

    async def missing(self, refs: Iterable[str]) -> list[str]:
        return await self._run(functools.partial(self._missing, tuple(refs)))

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
        oldest_s = time.time() - self._config.leftover_age_s
        for leftover in self._incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process removed it
                if leftover.stat().st_mtime < oldest_s:
                    leftover.unlink()

    def _put(self, mail_id: MailId, content: bytes) -> Stored:
        """Write the file, unless the id has a content already, which is kept.

        The folder is synced in both cases, because an earlier writer may have died before its sync.
        """
        path = self._path(mail_id)
        try:
            kept = path.read_bytes()
        except FileNotFoundError:
            kept = content
            self._write(path, content)
        sync_folder(path.parent)
        return Stored(mail_id, len(kept), hashlib.sha256(kept).hexdigest())

    def _get(self, ref: str) -> bytes:
        return self._read(ref, 0, sys.maxsize)

    def _read(self, ref: str, start: int, size_bytes: int) -> bytes:
        """Return `size_bytes` octets of the file from `start`, fewer at its end.

        Raises ContentMissing; but StoreUnavailable if the whole folder is gone, such as a disk that
        is not mounted, or if the file cannot be read.
        """
        try:
            with self._path(MailId(ref)).open("rb") as file:
                left_bytes = os.fstat(file.fileno()).st_size - start
                file.seek(start)
                return file.read(max(0, min(size_bytes, left_bytes)))  # allocates what it is given
        except FileNotFoundError:
            self._incoming.stat()  # raises if the whole folder is gone
            raise ContentMissing(ref) from None
        except OSError as error:
            raise StoreUnavailable("content", str(error), served_s=self._served_s()) from error

    def _served_s(self) -> float:
        """Return the time (monotonic) if another file can be written and read, else 0.

        Then only this one file is damaged.
        """
        probe = self._incoming / uuid.uuid4().hex
        try:
            write_new_file(probe, b"probe")
            is_served = probe.read_bytes() == b"probe"
            probe.unlink()
        except OSError:
            return 0.0
        return time.monotonic() if is_served else 0.0

    def _missing(self, refs: tuple[str, ...]) -> list[str]:
        missing = [ref for ref in refs if not (is_content_id(ref) and self.has(ref))]
        if missing:
            self._incoming.stat()  # raises if the whole folder is gone
        return missing

    def _path(self, mail_id: MailId) -> Path:
        return self._folder / mail_id.rjust(_FOLDER_CHARS, "0")[-_FOLDER_CHARS:] / mail_id

    def _write(self, path: Path, content: bytes) -> None:
        incoming = self._incoming / uuid.uuid4().hex
        try:
            write_new_file(incoming, content)
            _move(incoming, path)
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
    """Create the folder and its parents; return when its name is on disk."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    sync_folder(folder.parent)
