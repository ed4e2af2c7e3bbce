"""Table `correspondent` of the mail store, and the scratch table of a check or rebuild."""

from dataclasses import dataclass
from sqlite3 import Connection

import msgspec

from mail.mailbox import correspondents as rules
from schemas.correspondents import Correspondent
from schemas.ids import UserId
from stores.sqlite.mail_store.list_rows import RowChange

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Correspondent).decode
_FOUND = """SELECT correspondent FROM mailbox JOIN correspondent USING (mailbox_key)
    WHERE user_id = ? AND instr(words, ?) ORDER BY sent DESC, last_ms DESC, address LIMIT ?"""


@dataclass(frozen=True, slots=True)
class CorrespondentTable:
    """`correspondent` or `rebuild_correspondent`, by the normal form of the address."""

    name: str

    def count(self, connection: Connection, key: int, change: RowChange) -> None:
        """Count a message, by its rows before and after."""
        for address, added in rules.counted(*change).items():
            known = self.get(connection, key, address)
            self.put(connection, key, address, rules.merged(known, added))

    def drop(self, connection: Connection, key: int) -> None:
        """Drop the least recent rows beyond the limit."""
        rows = f"FROM {self.name} WHERE mailbox_key = ?"
        (count,) = connection.execute(f"SELECT count(*) {rows}", (key,)).fetchone()
        last_seen = connection.execute(f"SELECT last_ms, address {rows}", (key,))
        statement = f"DELETE {rows} AND address = ?"
        dropped = [(key, address) for address in rules.least_recent(last_seen, count)]
        connection.executemany(statement, dropped)

    def get(self, connection: Connection, key: int, address: str) -> Correspondent | None:
        query = f"SELECT correspondent FROM {self.name} WHERE mailbox_key = ? AND address = ?"  # noqa: S608
        row = connection.execute(query, (key, address)).fetchone()
        return _decode(row[0]) if row else None

    def put(self, connection: Connection, key: int, address: str, row: Correspondent) -> None:
        connection.execute(
            f"INSERT OR REPLACE INTO {self.name} VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
            (key, address, row.sent, row.last_ms, rules.searched_text(row), _encode(row)),
        )

    def all(self, connection: Connection, key: int) -> dict[str, Correspondent]:
        """All rows that can be read; a row that cannot be read is as if it were missing."""
        query = f"SELECT address, correspondent FROM {self.name} WHERE mailbox_key = ?"  # noqa: S608
        rows = {}
        for address, blob in connection.execute(query, (key,)):
            try:
                rows[address] = _decode(blob)
            except (msgspec.MsgspecError, ValueError):
                continue
        return rows


CORRESPONDENTS = CorrespondentTable("correspondent")
EXPECTED = CorrespondentTable("rebuild_correspondent")  # counted from the messages that exist


def correspondents(
    connection: Connection, user_id: UserId, prefix: str, *, limit: int
) -> list[Correspondent]:
    text = rules.searched_prefix(prefix)
    rows = connection.execute(_FOUND, (user_id, text, limit)) if text else ()
    return [_decode(blob) for (blob,) in rows]
