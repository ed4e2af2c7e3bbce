"""Quarantine in one SQLite file, written by the role `scan`, read by the command line."""

from pathlib import Path
from sqlite3 import Connection
from typing import Self

import msgspec

from mail.ports import Quarantine
from schemas.records import Quarantined
from schemas.sqlite import QUARANTINE
from stores.cursors import check_limit
from stores.sqlite_base import SqliteConfig
from stores.sqlite_threads import SqliteFile

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Quarantined).decode
_PUT = "INSERT OR IGNORE INTO quarantined VALUES (?, ?)"
_GET = "SELECT quarantined FROM quarantined WHERE mail_id = ?"
_LIST = (
    "SELECT quarantined FROM quarantined WHERE :before IS NULL OR mail_id < :before"
    " ORDER BY mail_id DESC LIMIT :limit"
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
        found = await self._file.read(lambda c: c.execute(_GET, (mail_id,)).fetchone())
        return _decode(found[0]) if found else None

    async def list(self, *, limit: int, before: str | None = None) -> list[Quarantined]:
        check_limit(limit)
        return await self._file.read(lambda c: _newest(c, limit, before))


def _newest(connection: Connection, limit: int, before: str | None) -> list[Quarantined]:
    found = connection.execute(_LIST, {"limit": limit, "before": before})
    return [_decode(blob) for (blob,) in found]
