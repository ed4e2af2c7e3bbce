"""Quarantine in quarantine.sqlite, written by the roles `scan` and `custody` and by commands."""

from collections.abc import Iterable
from itertools import islice
from sqlite3 import Connection

import msgspec

from mail import quarantine_rules as rules
from mail.pagination import check_limit
from mail.ports import Quarantine
from schemas.ids import MailId
from schemas.quarantine import Quarantined
from schemas.sqlite.small_stores import QUARANTINE
from stores.sqlite.single_file_store import SingleFileStore, reads, writes

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Quarantined).decode
_PUT = "INSERT OR IGNORE INTO quarantined (mail_id, quarantined) VALUES (?, ?)"
_GET = "SELECT quarantined FROM quarantined WHERE mail_id = ?"
_REPLACE = "UPDATE quarantined SET quarantined = ?, unpublished = ? WHERE mail_id = ?"
_UNPUBLISHED = "SELECT quarantined FROM quarantined WHERE unpublished = 1 ORDER BY mail_id LIMIT ?"
_LIST = (
    "SELECT quarantined FROM quarantined WHERE :before IS NULL OR mail_id < :before"
    " ORDER BY mail_id DESC"
)


def _put(connection: Connection, row: Quarantined) -> None:
    connection.execute(_PUT, (row.mail_id, _encode(row)))


def _get(connection: Connection, mail_id: MailId) -> Quarantined | None:
    row = connection.execute(_GET, (mail_id,)).fetchone()
    return _decode(row[0]) if row else None


def _list(
    connection: Connection, *, limit: int, before: str | None = None, reason: str | None = None
) -> list[Quarantined]:
    """Reads rows from the newest on until `limit` of them are to be listed."""
    check_limit(limit)
    rows = (_decode(blob) for (blob,) in connection.execute(_LIST, {"before": before}))
    return list(islice((row for row in rows if rules.is_listed(row, reason)), limit))


def _release(connection: Connection, mail_id: MailId, *, by: str, at_ms: int) -> None:
    row = rules.released(_get(connection, mail_id), mail_id, by=by, at_ms=at_ms)
    _replace(connection, row)


def _mark_published(connection: Connection, mail_id: MailId) -> None:
    row = _get(connection, mail_id)
    if row is not None and row.unpublished:
        _replace(connection, msgspec.structs.replace(row, unpublished=False))


def _list_unpublished(connection: Connection, *, limit: int) -> list[Quarantined]:
    return [_decode(blob) for (blob,) in connection.execute(_UNPUBLISHED, (limit,))]


def _delete(connection: Connection, mail_id: MailId, *, by: str, at_ms: int) -> None:
    row = rules.deleted(_get(connection, mail_id), mail_id, by=by, at_ms=at_ms)
    _replace(connection, row)


def _replace(connection: Connection, row: Quarantined) -> None:
    connection.execute(_REPLACE, (_encode(row), row.unpublished, row.mail_id))


class SqliteQuarantine(SingleFileStore, Quarantine):
    """Quarantine over one SQLite file. Create it with `open`; `close` it."""

    migrations = QUARANTINE

    put = writes(_put)
    get = reads(_get)
    release = writes(_release)
    mark_published = writes(_mark_published)
    list_unpublished = reads(_list_unpublished)
    delete = writes(_delete)

    async def get_many(self, mail_ids: Iterable[MailId]) -> list[Quarantined]:
        ids = tuple(mail_ids)
        rows = await self.file.read(lambda connection: [_get(connection, id_) for id_ in ids])
        return [row for row in rows if row is not None]

    list = reads(_list)  # last, because it hides the builtin
