"""Holders in one SQLite file, written by the roles `intake` (hold) and `mailbox` (release)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Self

from mail.ports import Holders
from schemas.holders import DEAD_LETTERS_HOLDER, QUARANTINE_HOLDER, Holder
from schemas.sqlite.small_stores import HOLDERS
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.group_commit import SqliteFile

_HOLD = "INSERT OR IGNORE INTO holder VALUES (?, ?, ?)"
_OF = "SELECT mail_id, holder, ref FROM holder WHERE mail_id = ? ORDER BY holder"
_NAMED = """SELECT mail_id, holder, ref FROM holder WHERE holder = {holder} AND mail_id > :after
    ORDER BY mail_id LIMIT :limit"""
# The names stand in the statement, as partial indexes need it.
_BY_NAME = {
    holder: _NAMED.format(holder=f"'{holder}'")
    for holder in (QUARANTINE_HOLDER, DEAD_LETTERS_HOLDER)
}
_BY_ANY_NAME = _NAMED.format(holder=":holder")
_RELEASE = "DELETE FROM holder WHERE mail_id = ? AND holder = ?"


class SqliteHolders(Holders):
    """Made by `open`; `close` it."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    @classmethod
    async def open(cls, path: Path, config: SqliteConfig | None = None) -> Self:
        """Fatal: a newer version's file. StoreUnavailable: it cannot be opened."""
        return cls(await SqliteFile.open(path, HOLDERS, config or SqliteConfig()))

    async def close(self) -> None:
        await self._file.close()

    async def hold(self, holders: Iterable[Holder]) -> None:
        rows = [(row.mail_id, row.holder, row.ref) for row in holders]
        await self._file.write(lambda c: c.executemany(_HOLD, rows).rowcount)

    async def of(self, mail_id: str) -> list[Holder]:
        return await self._file.read(lambda c: _of(c, mail_id))

    async def held(self, mail_ids: Sequence[str]) -> set[str]:
        return await self._file.read(lambda c: {id_ for id_ in mail_ids if _of(c, id_)})

    async def named(self, holder: str, *, after: str, limit: int) -> list[Holder]:
        query = _BY_NAME.get(holder, _BY_ANY_NAME)
        values = {"holder": holder, "after": after, "limit": limit}
        return await self._file.read(lambda c: _holders(c.execute(query, values)))

    async def release(self, mail_id: str, holder: str) -> None:
        await self.release_all([(mail_id, holder)])

    async def release_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        gone = list(pairs)
        await self._file.write(lambda c: c.executemany(_RELEASE, gone).rowcount)


def _of(connection: Connection, mail_id: str) -> list[Holder]:
    return _holders(connection.execute(_OF, (mail_id,)))


def _holders(found: Iterable[tuple[str, str, str]]) -> list[Holder]:
    return [Holder(mail_id=mail, holder=holder, ref=ref) for mail, holder, ref in found]
