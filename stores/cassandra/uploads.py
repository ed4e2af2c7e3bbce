"""Uploads on Cassandra: one row for each user, so one lightweight transaction holds the quota.

An entry for each upload becomes due when it expires (due_entries.py). An upload that has ended is
due at once, until it is deleted.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from mail.ports import Uploads
from mail.upload_rules import spared
from schemas.cql.uploads import UPLOAD_OWNER, UPLOADS, UPLOADS_OF_USER, StoredUpload
from schemas.ids import UploadId, UserId
from schemas.mailbox import Usage
from schemas.uploads import Upload, UploadQuota
from stores.cassandra.base import CassandraStore
from stores.cassandra.clock import now_us
from stores.cassandra.due_entries import DueEntries, DueEntry, DueState, each, verdict
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.session import CassandraSession, Statement

_OWNER = UPLOAD_OWNER.select("user_id")
Rows = list[StoredUpload]


class CassandraUploads(CassandraStore, Uploads):
    """Uploads over a session."""

    schemas = {"uploads": UPLOADS}  # noqa: RUF012

    def __init__(self, session: CassandraSession) -> None:
        super().__init__(session)
        self._rows: GuardedRows[Rows] = GuardedRows(session, UPLOADS_OF_USER, Rows)
        self._expiring = DueEntries(session, "upload")

    async def begin(self, upload: Upload, *, quota: UploadQuota, now_ms: int) -> None:
        def begun(rows: Rows) -> Rows:
            if any(row.upload.upload_id == upload.upload_id for row in rows):
                return rows
            alive = _alive(rows, now_ms)
            ended = {row.upload_id for row in spared(alive, upload, quota=quota, now_ms=now_ms)}
            kept = [_ended(row) if row.upload.upload_id in ended else row for row in rows]
            return [*kept, StoredUpload(upload=upload)]

        owner = (UPLOAD_OWNER.put, (upload.upload_id, upload.user_id, now_us()))
        await self._change(upload.user_id, begun, owner)

    async def finish(self, upload_id: UploadId, *, sha256: str) -> None:
        def finished(row: StoredUpload) -> StoredUpload:
            if row.upload.upload_id != upload_id:
                return row
            return StoredUpload(
                upload=msgspec.structs.replace(row.upload, sha256=sha256), version=row.version
            )

        for (user_id,) in await self._session.read(_OWNER, upload_id):
            await self._change(user_id, lambda rows: [finished(row) for row in rows])

    async def uploads(self, user_id: UserId, *, now_ms: int) -> list[Upload]:
        return [row for row in _alive(await self._of(user_id), now_ms) if row.sha256]

    async def use(
        self,
        user_id: UserId,
        upload_ids: Sequence[UploadId],
        *,
        now_ms: int,
        expires_at_ms: int,
    ) -> list[Upload]:
        def is_used(row: Upload) -> bool:
            return bool(row.sha256) and row.upload_id in upload_ids and row.expires_at_ms > now_ms

        def used(row: StoredUpload) -> StoredUpload:
            if not is_used(row.upload):
                return row
            upload = msgspec.structs.replace(
                row.upload, used_at_ms=now_ms, expires_at_ms=expires_at_ms
            )
            return StoredUpload(upload=upload, version=row.version + 1)

        rows = await self._change(user_id, lambda rows: [used(row) for row in rows])
        found = [row.upload for row in rows if is_used(row.upload)]
        return sorted(found, key=lambda row: row.upload_id)

    async def expire(self, user_id: UserId, upload_id: UploadId, *, now_ms: int) -> bool:
        was_alive = False

        def expired(rows: Rows) -> Rows:
            nonlocal was_alive
            was_alive = any(row.upload_id == upload_id for row in _alive(rows, now_ms))
            is_ending = {upload_id} if was_alive else set()
            return [_ended(row) if row.upload.upload_id in is_ending else row for row in rows]

        await self._change(user_id, expired)
        return was_alive

    async def usage(self, user_id: UserId, *, now_ms: int) -> Usage:
        alive = _alive(await self._of(user_id), now_ms)
        return Usage(sum(row.size_bytes for row in alive), len(alive))

    async def expire_due(self, *, now_ms: int, limit: int) -> list[Upload]:
        return await self._expiring.rows(each(self._end_due), until_ms=now_ms, limit=limit)

    async def _end_due(self, entry: DueEntry) -> Upload | DueState:
        """End the upload of an entry that counts. A row that is gone was deleted."""
        upload_id, _, user_id = entry.key.partition("/")
        ended: Upload | DueState = DueState.STALE

        def end(rows: Rows) -> Rows:
            nonlocal ended
            row = next((row for row in rows if row.upload.upload_id == upload_id), None)
            due = verdict(entry, row, _expires_then)
            if isinstance(due, DueState):
                ended = due
                return rows
            last = due if due.upload.expires_at_ms == 0 else _ended(due)
            ended = last.upload
            return [last if one is row else one for one in rows]

        await self._change(user_id, end)
        return ended

    async def delete(self, upload_ids: Sequence[UploadId]) -> None:
        owners = await asyncio.gather(*(self._session.read(_OWNER, id_) for id_ in upload_ids))
        gone = frozenset(upload_ids)
        for user_id in {row[0] for rows in owners for row in rows}:
            await self._change(
                user_id, lambda rows: [row for row in rows if row.upload.upload_id not in gone]
            )
        at_us = now_us()
        await self._session.write([(UPLOAD_OWNER.delete(), (at_us, id_)) for id_ in upload_ids])

    async def relist(self) -> None:
        """Write again what leads to the rows, after a restore. Raises StoreUnavailable."""
        async for rows in self._rows.every():
            for row in rows:
                owner = (row.upload.upload_id, row.upload.user_id, now_us())
                await self._session.write([(UPLOAD_OWNER.put, owner), *self._entry(row)])

    async def _of(self, user_id: str) -> Rows:
        return await self._rows.get(user_id) or []

    async def _change(self, user_id: str, change: Callable[[Rows], Rows], *more: Statement) -> Rows:
        """Change the uploads of a user; entries of new versions are written before."""
        before: Rows = []

        def changed(rows: Rows | None) -> Rows | None:
            nonlocal before
            before = rows or []
            return change(before) or None

        def entries(after: Rows) -> list[Statement]:
            versions = {row.upload.upload_id: row.version for row in before}
            new = [row for row in after if versions.get(row.upload.upload_id) != row.version]
            return [*more, *(each for row in new for each in self._entry(row))]

        return await self._rows.change(user_id, to=changed, first=entries) or []

    def _entry(self, row: StoredUpload) -> list[Statement]:
        upload = row.upload
        key = f"{upload.upload_id}/{upload.user_id}"
        return self._expiring.put(key, due_at_ms=upload.expires_at_ms, version=row.version)


def _alive(rows: Rows, now_ms: int) -> list[Upload]:
    """The user's uploads, the least recently used first."""
    alive = [row.upload for row in rows if row.upload.expires_at_ms > now_ms]
    return sorted(alive, key=lambda row: (row.used_at_ms, row.upload_id))


def _ended(row: StoredUpload) -> StoredUpload:
    upload = msgspec.structs.replace(row.upload, expires_at_ms=0)
    return StoredUpload(upload=upload, version=row.version + 1)


def _expires_then(row: StoredUpload, entry: DueEntry) -> bool:
    return row.upload.expires_at_ms == entry.due_at_ms
