"""ContentStore that keeps small contents as rows in content.sqlite and large contents as files.

A file costs two syncs and a rename; at 64 KB it still costs twice the CPU of a row. Contents of at
most `row_max_bytes` are rows, in the order of their arrival. Larger contents are files
(stores/filesystem/content_store.py), and so are all contents that former versions wrote as files.
An id is a row or a file, never both. Counts and leases of the sweep are rows of the same database
file, so a content and its count are deleted in one transaction.
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
from mail.octet_ranges import check_range
from mail.ports import ContentStore, ContentSweep
from schemas.content import Stored
from schemas.ids import MailId
from schemas.sqlite.small_stores import CONTENT
from stores.filesystem.content_store import FilesystemContentStore
from stores.sqlite import content_sweep
from stores.sqlite.batched_reads import BatchedReads
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.group_commit import SqliteFile
from stores.sqlite.single_file_store import reads, writes

ROW_MAX_BYTES = 128 * 1024  # most mails are smaller; most octets are in larger mails

_FIND = "SELECT content FROM content WHERE mail_id = ?"
_PUT = "INSERT OR IGNORE INTO content (mail_id, put_at_ms, content) VALUES (?, ?, ?)"
_PAGE = "SELECT content_key, mail_id FROM content WHERE content_key > ? ORDER BY 1 LIMIT ?"
CACHE_KIB = 4 * 1024  # of the database file, per connection
_ROW, _FILES = "row ", "file "  # prefixes of a position in `walk`
_DELETE = "DELETE FROM content WHERE mail_id = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteContentConfig:
    """How one process uses the database file."""

    row_max_bytes: int = ROW_MAX_BYTES
    sqlite: SqliteConfig = field(default_factory=lambda: SqliteConfig(cache_kib=CACHE_KIB))


def _row(connection: Connection, mail_id: MailId) -> bytes | None:
    row = connection.execute(_FIND, (mail_id,)).fetchone()
    return row[0] if row else None


def _page(connection: Connection, after: int, limit: int) -> tuple[list[MailId], str | None]:
    """Return mail ids of rows above the key `after`, and the next position of the walk."""
    rows = connection.execute(_PAGE, (after, limit)).fetchall()
    mail_ids = [mail_id for _, mail_id in rows]
    return mail_ids, f"{_ROW}{rows[-1][0]}" if len(rows) == limit else _FILES


def _is_row(connection: Connection, mail_id: MailId) -> bool:
    row = connection.execute("SELECT 1 FROM content WHERE mail_id = ?", (mail_id,)).fetchone()
    return row is not None


class SqliteContentStore(ContentStore, ContentSweep):
    """Create it with `open`; `close` it. The reference of a content is its mail id."""

    def __init__(
        self, file: SqliteFile, files: FilesystemContentStore, *, row_max_bytes: int
    ) -> None:
        self.file = file
        self._batched_rows = BatchedReads(file, _row)
        self._files = files
        self._row_max_bytes = row_max_bytes

    @classmethod
    async def open(
        cls, path: Path, folder: Path, config: SqliteContentConfig | None = None
    ) -> Self:
        """Open the database file `path` and the folder of files `folder`.

        Raises Fatal: a newer version wrote the file. StoreUnavailable: it cannot be opened.
        """
        config = config or SqliteContentConfig()
        file = await SqliteFile.open(path, CONTENT, config.sqlite)
        files = await FilesystemContentStore.open(folder)
        return cls(file, files, row_max_bytes=config.row_max_bytes)

    async def close(self) -> None:
        """Finish the calls under way, then close; later calls raise StoreUnavailable."""
        await self.file.close()
        await self._files.close()

    loose = reads(content_sweep.loose)
    take_lease = writes(content_sweep.take_lease)
    renew_lease = writes(content_sweep.renew_lease)
    end_lease = writes(content_sweep.end_lease)
    leases = reads(content_sweep.leases)

    async def put(self, mail_id: MailId, content: bytes) -> Stored:
        check_content_id(mail_id)
        if len(content) > self._row_max_bytes:
            kept = await self._existing_row(mail_id)
        else:
            kept = await self.file.write(lambda c: self._put_row(c, mail_id, content))
        if kept is None:
            return await self._files.put(mail_id, content)
        return Stored(mail_id, len(kept), hashlib.sha256(kept).hexdigest())

    async def get(self, ref: str) -> bytes:
        if not is_content_id(ref):
            raise ContentMissing(ref)
        content = await self._batched_rows.of(MailId(ref))
        return await self._files.get(ref) if content is None else content

    async def read(self, ref: str, *, start: int, size_bytes: int) -> bytes:
        check_range(start, size_bytes)
        if not is_content_id(ref):
            raise ContentMissing(ref)
        content = await self._batched_rows.of(MailId(ref))
        if content is not None:
            return content[start : start + size_bytes]
        return await self._files.read(ref, start=start, size_bytes=size_bytes)

    async def walk(self, *, place: str | None, limit: int) -> tuple[list[MailId], str | None]:
        """Walk the rows, then the files; a position is "row KEY" or "file FILE_POSITION"."""
        if place is None or place.startswith(_ROW):
            after = int((place or f"{_ROW}-1").removeprefix(_ROW))
            return await self.file.read(lambda c: _page(c, after, limit))
        file_place = None if place == _FILES else place.removeprefix(_FILES)
        refs, next_place = await self._files.walk(place=file_place, limit=limit)
        return refs, None if next_place is None else _FILES + next_place

    async def sweep(
        self, *, loose: Sequence[str], held: Sequence[str] = (), turns: int
    ) -> list[str]:
        return await self.file.write(
            lambda c: content_sweep.sweep(c, loose, held, turns, lambda ref: self._delete(c, ref))
        )

    async def missing(self, refs: Iterable[str]) -> list[str]:
        ids = tuple(refs)
        rows = await self.file.read(lambda c: {ref for ref in ids if _is_row(c, MailId(ref))})
        return await self._files.missing(ref for ref in ids if ref not in rows)

    async def _existing_row(self, mail_id: MailId) -> bytes | None:
        """Return the content of the row of `mail_id`; None: no row. End the count of that id.

        The count ends before a file is written, so that the sweep cannot delete the new file.
        """
        content, is_counted = await self.file.read(
            lambda c: (_row(c, mail_id), content_sweep.is_counted(c, mail_id))
        )
        if is_counted:
            await self.file.write(lambda c: content_sweep.end_count(c, mail_id))
        return content

    def _put_row(self, connection: Connection, mail_id: MailId, content: bytes) -> bytes | None:
        """Insert the row, or end the count of an existing content; return the row's content.

        None: a file has that id. Raises StoreUnavailable.
        """
        row = (mail_id, now_ms(), content)
        if not self._is_file(mail_id) and connection.execute(_PUT, row).rowcount:
            return content
        content_sweep.end_count(connection, mail_id)
        return _row(connection, mail_id)

    def _delete(self, connection: Connection, ref: str) -> None:
        """Delete the row and the file. Raises StoreUnavailable.

        The folder is not synced: a file that reappears after a power cut is counted again.
        """
        connection.execute(_DELETE, (ref,))
        if not is_content_id(ref):
            return
        try:
            self._files.remove(ref)
        except OSError as error:
            raise StoreUnavailable("content", str(error)) from error

    def _is_file(self, mail_id: MailId) -> bool:
        try:
            return self._files.has(mail_id)
        except OSError as error:
            raise StoreUnavailable("content", str(error)) from error
