"""Quarantine in one SQLite file, written by the roles `scan` and `custody` and by commands."""

import builtins
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from sqlite3 import Connection
from typing import Self

import msgspec

from mail import quarantine_rules as rows
from mail.pagination import check_limit
from mail.ports import Quarantine
from schemas.quarantine import Quarantined
from schemas.sqlite.small_stores import QUARANTINE
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.group_commit import SqliteFile

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


class SqliteQuarantine(Quarantine):
    """Made by `open`; `close` it."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    @classmethod
    async def open(cls, path: Path, config: SqliteConfig | None = None) -> Self:
        """Fatal: a newer version's file. StoreUnavailable: it cannot be opened."""
        return cls(await SqliteFile.open(path, QUARANTINE, config or SqliteConfig()))

    async def close(self) -> None:
        await self._file.close()

    async def put(self, row: Quarantined) -> None:
        blob = _encode(row)
        await self._file.write(lambda c: c.execute(_PUT, (row.mail_id, blob)).rowcount)

    async def get(self, mail_id: str) -> Quarantined | None:
        return await self._file.read(lambda c: _row(c, mail_id))

    async def get_many(self, mail_ids: Iterable[str]) -> list[Quarantined]:
        wanted = tuple(mail_ids)
        found = await self._file.read(lambda c: [_row(c, mail_id) for mail_id in wanted])
        return [row for row in found if row is not None]

    async def list(
        self, *, limit: int, before: str | None = None, reason: str | None = None
    ) -> list[Quarantined]:
        check_limit(limit)
        return await self._file.read(lambda c: _newest(c, limit, before, reason))

    async def release(self, mail_id: str, *, by: str, at_ms: int) -> None:
        await self._file.write(
            lambda c: _replace(c, rows.released(_row(c, mail_id), mail_id, by=by, at_ms=at_ms))
        )

    async def published(self, mail_id: str) -> None:
        await self._file.write(lambda c: _published(c, mail_id))

    async def unpublished(self, *, limit: int) -> builtins.list[Quarantined]:
        return await self._file.read(
            lambda c: [_decode(blob) for (blob,) in c.execute(_UNPUBLISHED, (limit,))]
        )

    async def delete(self, mail_id: str, *, by: str, at_ms: int) -> None:
        await self._file.write(
            lambda c: _replace(c, rows.deleted(_row(c, mail_id), mail_id, by=by, at_ms=at_ms))
        )


def _row(connection: Connection, mail_id: str) -> Quarantined | None:
    found = connection.execute(_GET, (mail_id,)).fetchone()
    return _decode(found[0]) if found else None


def _replace(connection: Connection, row: Quarantined) -> None:
    connection.execute(_REPLACE, (_encode(row), row.unpublished, row.mail_id))


def _published(connection: Connection, mail_id: str) -> None:
    row = _row(connection, mail_id)
    if row is not None and row.unpublished:
        _replace(connection, msgspec.structs.replace(row, unpublished=False))


def _newest(
    connection: Connection, limit: int, before: str | None, reason: str | None
) -> list[Quarantined]:
    """Read from the newest on until there are enough."""
    found = (_decode(blob) for (blob,) in connection.execute(_LIST, {"before": before}))
    return list(islice((row for row in found if rows.is_listed(row, reason)), limit))
