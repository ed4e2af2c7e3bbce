"""ContentStore that keeps small contents as rows of one SQLite file, and large ones as files.

A file of its own costs two syncs, a rename, and at 64 KB still twice the CPU of a row. Contents of
at most `row_max_bytes` are rows, in the order of their arrival; larger ones are files
(stores/filesystem/content_store.py), and so are all that former versions wrote as files. An id is
in one of both places only. Counts and leases of the sweep are rows of the same file, so that a
content and its count are deleted in one transaction.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Connection
from typing import Self

from mail.clock import now_ms
from mail.errors import ContentMissing, StoreUnavailable
from mail.ids import check_content_id, is_content_id
from mail.ports import ContentStore, ContentSweep
from schemas.content import Lease, Stored
from schemas.sqlite.small_stores import CONTENT
from stores.filesystem.content_store import FilesystemContentStore
from stores.sqlite import content_sweep as counts
from stores.sqlite.batched_reads import BatchedReads
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.group_commit import SqliteFile

ROW_MAX_BYTES = 128 * 1024  # most mails are smaller; most octets are in larger ones

_FIND = "SELECT content FROM content WHERE mail_id = ?"
_PUT = "INSERT OR IGNORE INTO content (mail_id, put_at_ms, content) VALUES (?, ?, ?)"
_WALK = "SELECT content_key, mail_id FROM content WHERE content_key > ? ORDER BY 1 LIMIT ?"
CACHE_KIB = 4 * 1024  # of the rows' file, per connection
_ROW, _FILES = "row ", "file "
_DELETE = "DELETE FROM content WHERE mail_id = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteContentConfig:
    """How one process uses the file."""

    row_max_bytes: int = ROW_MAX_BYTES
    sqlite: SqliteConfig = field(default_factory=lambda: SqliteConfig(cache_kib=CACHE_KIB))


class SqliteContentStore(ContentStore, ContentSweep):
    """Made by `open`; `close` it. The reference of a content is its mail id."""

    def __init__(
        self, rows: SqliteFile, files: FilesystemContentStore, *, row_max_bytes: int
    ) -> None:
        self._rows = rows
        self._found = BatchedReads(rows, _found)
        self._files = files
        self._row_max_bytes = row_max_bytes

    @classmethod
    async def open(
        cls, path: Path, folder: Path, config: SqliteContentConfig | None = None
    ) -> Self:
        """Rows in `path`, files in `folder`. Fatal: of a newer version. StoreUnavailable."""
        config = config or SqliteContentConfig()
        rows = await SqliteFile.open(path, CONTENT, config.sqlite)
        files = await FilesystemContentStore.open(folder)
        return cls(rows, files, row_max_bytes=config.row_max_bytes)

    async def close(self) -> None:
        """Finish what was asked; later calls raise StoreUnavailable."""
        await self._rows.close()
        await self._files.close()

    async def put(self, mail_id: str, content: bytes) -> Stored:
        check_content_id(mail_id)
        if len(content) > self._row_max_bytes:
            kept = await self._looked_up(mail_id)
        else:
            kept = await self._rows.write(lambda c: self._keep(c, mail_id, content))
        if kept is None:
            return await self._files.put(mail_id, content)
        return Stored(mail_id, len(kept), hashlib.sha256(kept).hexdigest())

    async def get(self, ref: str) -> bytes:
        if not is_content_id(ref):
            raise ContentMissing(ref)
        found = await self._found.of(ref)
        return await self._files.get(ref) if found is None else found

    async def part(self, ref: str, *, start: int, size_bytes: int) -> bytes:
        if not is_content_id(ref):
            raise ContentMissing(ref)
        found = await self._found.of(ref)
        if found is not None:
            return found[start : start + size_bytes]
        return await self._files.part(ref, start=start, size_bytes=size_bytes)

    async def walk(self, *, place: str | None, limit: int) -> tuple[list[str], str | None]:
        """Rows first; a place among them is a row's key, one among files has a folder's name."""
        if place is None or place.startswith(_ROW):
            after = int((place or f"{_ROW}-1").removeprefix(_ROW))
            return await self._rows.read(lambda c: _page(c, after, limit))
        files = None if place == _FILES else place.removeprefix(_FILES)
        found, on = await self._files.walk(place=files, limit=limit)
        return found, None if on is None else _FILES + on

    async def loose(self, *, after: str, limit: int) -> list[str]:
        return await self._rows.read(lambda c: counts.loose(c, after, limit))

    async def sweep(
        self, *, loose: Sequence[str], held: Sequence[str] = (), turns: int
    ) -> list[str]:
        return await self._rows.write(
            lambda c: counts.sweep(c, loose, held, turns, lambda ref: self._delete(c, ref))
        )

    async def take_lease(self, lease_id: str, purpose: str) -> None:
        await self._rows.write(lambda c: counts.take_lease(c, lease_id, purpose))

    async def renew_lease(self, lease_id: str) -> bool:
        return await self._rows.write(lambda c: counts.renew_lease(c, lease_id))

    async def end_lease(self, lease_id: str) -> None:
        await self._rows.write(lambda c: counts.end_lease(c, lease_id))

    async def leases(self) -> list[Lease]:
        return await self._rows.read(counts.leases)

    async def missing(self, refs: Iterable[str]) -> list[str]:
        asked = tuple(refs)
        rows = await self._rows.read(lambda c: {ref for ref in asked if _is_row(c, ref)})
        return await self._files.missing(ref for ref in asked if ref not in rows)

    async def _looked_up(self, mail_id: str) -> bytes | None:
        """What the row of `mail_id` holds. A count ends first, so that no file goes behind it."""
        kept, counted = await self._rows.read(
            lambda c: (_found(c, mail_id), counts.is_counted(c, mail_id))
        )
        if counted:
            await self._rows.write(lambda c: counts.strike(c, mail_id))
        return kept

    def _delete(self, connection: Connection, ref: str) -> None:
        """StoreUnavailable. A file that a power cut brings back is found and counted again."""
        connection.execute(_DELETE, (ref,))
        if not is_content_id(ref):
            return
        try:
            self._files.remove(ref)
        except OSError as error:
            raise StoreUnavailable("content", str(error)) from error

    def _keep(self, connection: Connection, mail_id: str, content: bytes) -> bytes | None:
        """What the row holds from now on; None: there is a file of that id. StoreUnavailable."""
        row = (mail_id, now_ms(), content)
        if not self._is_file(mail_id) and connection.execute(_PUT, row).rowcount:
            return content
        counts.strike(connection, mail_id)
        return _found(connection, mail_id)

    def _is_file(self, mail_id: str) -> bool:
        try:
            return self._files.has(mail_id)
        except OSError as error:
            raise StoreUnavailable("content", str(error)) from error


def _found(connection: Connection, mail_id: str) -> bytes | None:
    row = connection.execute(_FIND, (mail_id,)).fetchone()
    return row[0] if row else None


def _page(connection: Connection, after: int, limit: int) -> tuple[list[str], str]:
    looked = connection.execute(_WALK, (after, limit)).fetchall()
    found = [mail_id for _, mail_id in looked]
    return found, f"{_ROW}{looked[-1][0]}" if len(looked) == limit else _FILES


def _is_row(connection: Connection, mail_id: str) -> bool:
    found = connection.execute("SELECT 1 FROM content WHERE mail_id = ?", (mail_id,))
    return found.fetchone() is not None
