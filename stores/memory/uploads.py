"""Uploads in memory."""

from collections.abc import Sequence

import msgspec

from mail.ports import Uploads
from mail.upload_rules import spared
from schemas.ids import UploadId, UserId
from schemas.mailbox import Usage
from schemas.uploads import Upload, UploadQuota
from stores.memory.faults import FaultHook, no_fault, take_step


class MemoryUploads(Uploads):
    """Steps for `fault`: begin, finish, read, use, expire, delete. Rows are in `rows`, by id."""

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self.rows: dict[UploadId, Upload] = {}

    async def begin(self, upload: Upload, *, quota: UploadQuota, now_ms: int) -> None:
        await take_step(self.fault, "begin")
        if upload.upload_id in self.rows:
            return
        alive = self._alive(upload.user_id, now_ms)
        ended = spared(alive, upload, quota=quota, now_ms=now_ms)
        for row in ended:
            self._end(row)
        self.rows[upload.upload_id] = upload

    async def finish(self, upload_id: UploadId, *, sha256: str) -> None:
        await take_step(self.fault, "finish")
        if upload_id in self.rows:
            self.rows[upload_id] = msgspec.structs.replace(self.rows[upload_id], sha256=sha256)

    async def uploads(self, user_id: UserId, *, now_ms: int) -> list[Upload]:
        await take_step(self.fault, "read")
        return [row for row in self._alive(user_id, now_ms) if row.sha256]

    async def use(
        self,
        user_id: UserId,
        upload_ids: Sequence[UploadId],
        *,
        now_ms: int,
        expires_at_ms: int,
    ) -> list[Upload]:
        await take_step(self.fault, "use")
        used = [
            msgspec.structs.replace(row, used_at_ms=now_ms, expires_at_ms=expires_at_ms)
            for row in self._alive(user_id, now_ms)
            if row.sha256 and row.upload_id in upload_ids
        ]
        self.rows |= {row.upload_id: row for row in used}
        return sorted(used, key=lambda row: row.upload_id)

    async def expire(self, user_id: UserId, upload_id: UploadId, *, now_ms: int) -> bool:
        await take_step(self.fault, "expire")
        found = [row for row in self._alive(user_id, now_ms) if row.upload_id == upload_id]
        for row in found:
            self._end(row)
        return bool(found)

    async def usage(self, user_id: UserId, *, now_ms: int) -> Usage:
        await take_step(self.fault, "read")
        alive = self._alive(user_id, now_ms)
        return Usage(sum(row.size_bytes for row in alive), len(alive))

    async def expire_due(self, *, now_ms: int, limit: int) -> list[Upload]:
        await take_step(self.fault, "expire")
        due = sorted(
            (row for row in self.rows.values() if row.expires_at_ms <= now_ms),
            key=lambda row: (row.expires_at_ms, row.upload_id),
        )
        return [self._end(row) for row in due[:limit]]

    async def delete(self, upload_ids: Sequence[UploadId]) -> None:
        await take_step(self.fault, "delete")
        for upload_id in upload_ids:
            self.rows.pop(upload_id, None)

    def _alive(self, user_id: UserId, now_ms: int) -> list[Upload]:
        """The user's uploads, the least recently used first."""
        rows = (row for row in self.rows.values() if row.user_id == user_id)
        alive = [row for row in rows if row.expires_at_ms > now_ms]
        return sorted(alive, key=lambda row: (row.used_at_ms, row.upload_id))

    def _end(self, row: Upload) -> Upload:
        ended = msgspec.structs.replace(row, expires_at_ms=0)
        self.rows[row.upload_id] = ended
        return ended
