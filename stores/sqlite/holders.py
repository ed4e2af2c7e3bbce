"""Holders in holders.sqlite, written by every role that keeps a content or releases one."""

from collections.abc import Iterable, Sequence
from sqlite3 import Connection

from mail.ports import Holders
from schemas.holders import DEAD_LETTERS_HOLDER, DEPOSIT_HOLDER, QUARANTINE_HOLDER, Holder
from schemas.ids import MailId
from schemas.sqlite.small_stores import HOLDERS
from stores.sqlite.single_file_store import SingleFileStore, reads

_HOLD = "INSERT OR IGNORE INTO holder VALUES (?, ?, ?)"
_OF = "SELECT mail_id, holder, ref FROM holder WHERE mail_id = ? ORDER BY holder"
_NAMED = """SELECT mail_id, holder, ref FROM holder WHERE holder = {holder} AND mail_id > :after
    ORDER BY mail_id LIMIT :limit"""
# A partial index is used only if the statement contains the holder's name as a literal.
_BY_NAME = {
    holder: _NAMED.format(holder=f"'{holder}'")
    for holder in (QUARANTINE_HOLDER, DEAD_LETTERS_HOLDER, DEPOSIT_HOLDER)
}
_BY_ANY_NAME = _NAMED.format(holder=":holder")
_RELEASE = "DELETE FROM holder WHERE mail_id = ? AND holder = ?"


def _list(connection: Connection, mail_id: MailId) -> list[Holder]:
    return _holders(connection.execute(_OF, (mail_id,)))


def _any_held(connection: Connection, mail_ids: Sequence[MailId]) -> set[str]:
    return {mail_id for mail_id in mail_ids if _list(connection, mail_id)}


def _held_by(connection: Connection, holder: str, *, after: str, limit: int) -> list[Holder]:
    query = _BY_NAME.get(holder, _BY_ANY_NAME)
    values = {"holder": holder, "after": after, "limit": limit}
    return _holders(connection.execute(query, values))


def _holders(rows: Iterable[tuple[MailId, str, str]]) -> list[Holder]:
    return [Holder(mail_id=mail_id, holder=holder, ref=ref) for mail_id, holder, ref in rows]


class SqliteHolders(SingleFileStore, Holders):
    """Holders over one SQLite file. Create it with `open`; `close` it."""

    migrations = HOLDERS

    any_held = reads(_any_held)
    held_by = reads(_held_by)

    async def hold(self, holders: Iterable[Holder]) -> None:
        rows = [(row.mail_id, row.holder, row.ref) for row in holders]
        await self.file.write(lambda connection: connection.executemany(_HOLD, rows).rowcount)

    async def release(self, mail_id: MailId, holder: str) -> None:
        await self.release_all([(mail_id, holder)])

    async def release_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        rows = list(pairs)
        await self.file.write(lambda connection: connection.executemany(_RELEASE, rows).rowcount)

    list = reads(_list)  # last, because it hides the builtin
