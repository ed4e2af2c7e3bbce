"""Submissions in submissions.sqlite, written by the role `intake`."""

from collections.abc import Collection, Sequence
from sqlite3 import Connection

import msgspec

from mail.pagination import check_limit
from mail.ports.submissions import (
    FIRST,
    SendingVolume,
    SettledPlace,
    SubmissionChanged,
    Submissions,
)
from mail.sending.submission_rows import settled_at_ms
from schemas.ids import SubmissionId, UserId
from schemas.sqlite.submissions import SUBMISSIONS
from schemas.submissions import HELD, Submission
from stores.sqlite.single_file_store import SingleFileStore, reads, writes

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Submission).decode
_INSERT = """INSERT OR IGNORE INTO submission (submission_id, user_id, version, created_at_ms,
    recipients, partition, fire_at_ms, settled_at_ms, submission)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_UPDATE = """UPDATE submission SET version = ?, fire_at_ms = ?, settled_at_ms = ?, submission = ?
    WHERE submission_id = ? AND version = ?"""
_SET_KEY = "INSERT OR REPLACE INTO idempotency_key VALUES (?, ?, ?)"
_GET = "SELECT submission FROM submission WHERE submission_id = ?"
_BY_KEY = """SELECT submission FROM idempotency_key JOIN submission USING (submission_id)
    WHERE idempotency_key.user_id = ? AND idempotency_key = ?"""
_LIST = """SELECT submission FROM submission
    WHERE user_id = :user_id AND (:before IS NULL OR submission_id < :before)
    ORDER BY submission_id DESC LIMIT :limit"""
_HELD = """SELECT submission FROM submission
    WHERE partition = ? AND fire_at_ms <= ? ORDER BY fire_at_ms LIMIT ?"""
_VOLUME = """SELECT count(*), coalesce(sum(recipients), 0) FROM submission
    WHERE user_id = ? AND created_at_ms >= ?"""
_WALK = """SELECT submission FROM submission
    WHERE submission_id > ? ORDER BY submission_id LIMIT ?"""
_SETTLED = """SELECT submission FROM submission
    WHERE is_released = 0 AND settled_at_ms < ? AND (settled_at_ms, submission_id) > (?, ?)
    ORDER BY settled_at_ms, submission_id LIMIT ?"""
_RELEASE = "UPDATE submission SET is_released = 1 WHERE submission_id = ?"
_RELEASED = """SELECT submission_id FROM submission
    WHERE is_released = 1 AND settled_at_ms < ? ORDER BY settled_at_ms LIMIT ?"""
_DELETE_KEY = "DELETE FROM idempotency_key WHERE submission_id = ?"
_DELETE = "DELETE FROM submission WHERE submission_id = ?"


def _put(connection: Connection, row: Submission) -> None:
    changed = _insert(connection, row) if row.version == 1 else _update(connection, row)
    if not changed and _get(connection, row.submission_id) != row:
        raise SubmissionChanged(row.submission_id)


def _insert(connection: Connection, row: Submission) -> int:
    """Return the number of inserted rows: 0 if there is a row already."""
    values = (
        row.submission_id, row.user_id, row.version, row.created_at_ms, len(row.recipients),
        row.partition, _held_until(row), settled_at_ms(row), _encode(row),
    )  # fmt: skip
    inserted = connection.execute(_INSERT, values).rowcount
    if inserted and row.idempotency_key:
        connection.execute(_SET_KEY, (row.user_id, row.idempotency_key, row.submission_id))
    return inserted


def _update(connection: Connection, row: Submission) -> int:
    """Return the number of updated rows: 0 if the stored version is not the one before."""
    values = (row.version, _held_until(row), settled_at_ms(row), _encode(row))
    condition = (row.submission_id, row.version - 1)
    return connection.execute(_UPDATE, (*values, *condition)).rowcount


def _held_until(row: Submission) -> int | None:
    return row.fire_at_ms if row.status == HELD else None


def _get(connection: Connection, submission_id: SubmissionId) -> Submission | None:
    row = connection.execute(_GET, (submission_id,)).fetchone()
    return _decode(row[0]) if row else None


def _by_key(connection: Connection, user_id: UserId, idempotency_key: str) -> Submission | None:
    row = connection.execute(_BY_KEY, (user_id, idempotency_key)).fetchone()
    return _decode(row[0]) if row else None


def _list(
    connection: Connection, user_id: UserId, *, before: SubmissionId | None = None, limit: int
) -> list[Submission]:
    check_limit(limit)
    values = {"user_id": user_id, "before": before, "limit": limit}
    return [_decode(blob) for (blob,) in connection.execute(_LIST, values)]


def _held(
    connection: Connection, partitions: Collection[int], *, until_ms: int, limit: int
) -> list[Submission]:
    check_limit(limit)
    rows = [
        _decode(blob)
        for partition in partitions
        for (blob,) in connection.execute(_HELD, (partition, until_ms, limit))
    ]
    return sorted(rows, key=lambda row: (row.fire_at_ms, row.submission_id))[:limit]


def _volume(connection: Connection, user_id: UserId, *, since_ms: int) -> SendingVolume:
    mails, recipients = connection.execute(_VOLUME, (user_id, since_ms)).fetchone()
    return SendingVolume(mails, recipients)


def _walk(connection: Connection, *, after: SubmissionId, limit: int) -> list[Submission]:
    check_limit(limit)
    return [_decode(blob) for (blob,) in connection.execute(_WALK, (after, limit))]


def _settled(
    connection: Connection, *, after: SettledPlace = FIRST, before_ms: int, limit: int
) -> list[Submission]:
    check_limit(limit)
    rows = connection.execute(_SETTLED, (before_ms, *after, limit))
    return [_decode(blob) for (blob,) in rows]


def _set_released(connection: Connection, submission_ids: Sequence[SubmissionId]) -> None:
    connection.executemany(_RELEASE, [(submission_id,) for submission_id in submission_ids])


def _delete_released(connection: Connection, *, before_ms: int, limit: int) -> int:
    check_limit(limit)
    ids = connection.execute(_RELEASED, (before_ms, limit)).fetchall()
    connection.executemany(_DELETE_KEY, ids)
    connection.executemany(_DELETE, ids)
    return len(ids)


class SqliteSubmissions(SingleFileStore, Submissions):
    """Submissions over one SQLite file. Create it with `open`; `close` it."""

    migrations = SUBMISSIONS

    put = writes(_put)
    get = reads(_get)
    by_key = reads(_by_key)
    held = reads(_held)
    volume = reads(_volume)
    walk = reads(_walk)
    settled = reads(_settled)
    set_released = writes(_set_released)
    delete_released = writes(_delete_released)

    list = reads(_list)  # last, because it hides the builtin
