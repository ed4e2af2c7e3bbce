"""Holders in holders.sqlite, written by every role that keeps a content or releases one.

A row is inserted once, as held or as released, may change from held to released, and is deleted by
the sweep only.
"""

from collections.abc import Iterable, Sequence
from sqlite3 import Connection

from mail.ports import Holders
from schemas.holders import DEAD_LETTERS_HOLDER, DEPOSIT_HOLDER, QUARANTINE_HOLDER, Holder
from schemas.ids import MailId
from schemas.sqlite.small_stores import HOLDERS
from stores.sqlite.single_file_store import SingleFileStore, reads, writes

_HOLD = "INSERT OR IGNORE INTO holder (mail_id, holder, ref) VALUES (?, ?, ?)"
_OF = """SELECT mail_id, holder, ref FROM holder WHERE mail_id = ? AND released = 0
    ORDER BY holder"""
_ANY = "SELECT 1 FROM holder WHERE mail_id = ? AND released = 0 LIMIT 1"
# The names of a kind are KIND and KIND:ID; ";" follows ":".
_NAMED = """SELECT mail_id, holder, ref FROM holder
    WHERE holder >= {kind} AND holder < {end} AND released = 0
        AND (holder = {kind} OR holder >= {kind} || ':') AND (mail_id, holder) > (:mail_id, :holder)
    ORDER BY mail_id, holder LIMIT :limit"""
# A partial index is used only if the statement contains the bounds of the index as literals.
_BY_KIND = {
    kind: _NAMED.format(kind=f"'{kind}'", end=f"'{kind};'")
    for kind in (QUARANTINE_HOLDER, DEAD_LETTERS_HOLDER, DEPOSIT_HOLDER)
}
_BY_ANY_KIND = _NAMED.format(kind=":kind", end=":kind || ';'")
_RELEASE = """INSERT INTO holder (mail_id, holder, ref, released) VALUES (?, ?, '', 1)
    ON CONFLICT DO UPDATE SET released = 1"""
_FORGET = "DELETE FROM holder WHERE mail_id = ? AND released = 1"


def _list(connection: Connection, mail_id: MailId) -> list[Holder]:
    return _holders(connection.execute(_OF, (mail_id,)))


def _any_held(connection: Connection, mail_ids: Sequence[MailId]) -> set[str]:
    return {mail_id for mail_id in mail_ids if connection.execute(_ANY, (mail_id,)).fetchone()}


def _held_by(
    connection: Connection, kind: str, *, after: tuple[str, str] = ("", ""), limit: int
) -> list[Holder]:
    query = _BY_KIND.get(kind, _BY_ANY_KIND)
    values = {"kind": kind, "mail_id": after[0], "holder": after[1], "limit": limit}
    return _holders(connection.execute(query, values))


def _forget_released(connection: Connection, mail_ids: Sequence[str]) -> None:
    connection.executemany(_FORGET, [(mail_id,) for mail_id in mail_ids])


def _holders(rows: Iterable[tuple[MailId, str, str]]) -> list[Holder]:
    return [Holder(mail_id=mail_id, holder=holder, ref=ref) for mail_id, holder, ref in rows]


class SqliteHolders(SingleFileStore, Holders):
    """Holders over one SQLite file. Create it with `open`; `close` it."""

    migrations = HOLDERS

    any_held = reads(_any_held)
    held_by = reads(_held_by)
    forget_released = writes(_forget_released)

    async def hold(self, holders: Iterable[Holder]) -> None:
        rows = [(row.mail_id, row.holder, row.ref) for row in holders]
        await self.file.write(lambda connection: connection.executemany(_HOLD, rows).rowcount)

    async def release(self, mail_id: MailId, holder: str) -> None:
        await self.release_all([(mail_id, holder)])

    async def release_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        rows = list(pairs)
        await self.file.write(lambda connection: connection.executemany(_RELEASE, rows).rowcount)

    list = reads(_list)  # last, because it hides the builtin
