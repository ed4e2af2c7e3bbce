"""Uploads in uploads.sqlite, written by the edges that take uploads."""

from collections.abc import Sequence
from sqlite3 import Connection, Row
from typing import Any

import msgspec

from mail.ports import Uploads
from mail.upload_rules import spared
from schemas.ids import UploadId, UserId
from schemas.mailbox import Usage
from schemas.sqlite.small_stores import UPLOADS
from schemas.uploads import Upload, UploadQuota
from stores.sqlite.single_file_store import SingleFileStore, reads, writes

_INSERT = """INSERT INTO upload VALUES (:upload_id, :user_id, :filename, :content_type, :size_bytes,
    :used_at_ms, :expires_at_ms, :sha256)"""
_ALIVE = """SELECT * FROM upload WHERE user_id = ? AND expires_at_ms > ?
    ORDER BY used_at_ms, upload_id"""
_USE = """UPDATE upload SET used_at_ms = :now_ms, expires_at_ms = :expires_at_ms
    WHERE user_id = :user_id AND expires_at_ms > :now_ms AND sha256 != ''
        AND upload_id IN (SELECT value FROM json_each(:ids))
    RETURNING *"""
_END = "UPDATE upload SET expires_at_ms = 0 WHERE upload_id = ?"
_EXPIRE = """UPDATE upload SET expires_at_ms = 0
    WHERE user_id = ? AND upload_id = ? AND expires_at_ms > ?"""
_USAGE = """SELECT coalesce(sum(size_bytes), 0), count(*) FROM upload
    WHERE user_id = ? AND expires_at_ms > ?"""
_DUE = """UPDATE upload SET expires_at_ms = 0 WHERE upload_id IN (
        SELECT upload_id FROM upload WHERE expires_at_ms <= ?
        ORDER BY expires_at_ms, upload_id LIMIT ?)
    RETURNING *"""
_FINISH = "UPDATE upload SET sha256 = ? WHERE upload_id = ?"
_DELETE = "DELETE FROM upload WHERE upload_id = ?"


def _begin(connection: Connection, upload: Upload, *, quota: UploadQuota, now_ms: int) -> None:
    known = connection.execute("SELECT 1 FROM upload WHERE upload_id = ?", (upload.upload_id,))
    if known.fetchone():
        return
    alive = _uploads_of(connection, _ALIVE, (upload.user_id, now_ms))
    ended = spared(alive, upload, quota=quota, now_ms=now_ms)
    connection.executemany(_END, [(row.upload_id,) for row in ended])
    connection.execute(_INSERT, msgspec.structs.asdict(upload))


def _finish(connection: Connection, upload_id: UploadId, *, sha256: str) -> None:
    connection.execute(_FINISH, (sha256, upload_id))


def _uploads(connection: Connection, user_id: UserId, *, now_ms: int) -> list[Upload]:
    return [row for row in _uploads_of(connection, _ALIVE, (user_id, now_ms)) if row.sha256]


def _use(
    connection: Connection,
    user_id: UserId,
    upload_ids: Sequence[UploadId],
    *,
    now_ms: int,
    expires_at_ms: int,
) -> list[Upload]:
    values = {
        "user_id": user_id,
        "ids": msgspec.json.encode(list(upload_ids)).decode(),
        "now_ms": now_ms,
        "expires_at_ms": expires_at_ms,
    }
    return sorted(_uploads_of(connection, _USE, values), key=lambda row: row.upload_id)


def _expire(connection: Connection, user_id: UserId, upload_id: UploadId, *, now_ms: int) -> bool:
    return connection.execute(_EXPIRE, (user_id, upload_id, now_ms)).rowcount > 0


def _usage(connection: Connection, user_id: UserId, *, now_ms: int) -> Usage:
    return Usage(*connection.execute(_USAGE, (user_id, now_ms)).fetchone())


def _expire_due(connection: Connection, *, now_ms: int, limit: int) -> list[Upload]:
    return _uploads_of(connection, _DUE, (now_ms, limit))


def _delete(connection: Connection, upload_ids: Sequence[UploadId]) -> None:
    connection.executemany(_DELETE, [(upload_id,) for upload_id in upload_ids])


def _uploads_of(connection: Connection, statement: str, values: Any) -> list[Upload]:
    cursor = connection.execute(statement, values)
    cursor.row_factory = Row
    return [Upload(**dict(row)) for row in cursor.fetchall()]


class SqliteUploads(SingleFileStore, Uploads):
    """Uploads over one SQLite file. Create it with `open`; `close` it."""

    migrations = UPLOADS

    begin = writes(_begin)
    finish = writes(_finish)
    use = writes(_use)
    expire = writes(_expire)
    expire_due = writes(_expire_due)
    delete = writes(_delete)
    usage = reads(_usage)
    uploads = reads(_uploads)
