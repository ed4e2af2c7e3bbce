"""Table `vanished` of the mail store: uids that ended, by the journal entry that ended them."""

from collections.abc import Iterable
from sqlite3 import Connection

from schemas.events.mailbox_events import MailboxChanged


def rows_of(key: int, entry: MailboxChanged) -> list[tuple[int, int, str, int]]:
    """The rows of `vanished` for an entry of the journal."""
    return [
        (key, entry.seq, folder_id, uid)
        for change in entry.changes
        for folder_id, uid in change.left.items()
    ]


def put(connection: Connection, rows: Iterable[tuple[int, int, str, int]]) -> None:
    connection.executemany("INSERT OR IGNORE INTO vanished VALUES (?, ?, ?, ?)", rows)


def read(connection: Connection, key: int, seq: int) -> list[tuple[int, int, str, int]]:
    """Return the stored rows of one entry."""
    query = "SELECT * FROM vanished WHERE mailbox_key = ? AND seq = ?"
    return connection.execute(query, (key, seq)).fetchall()


def delete(connection: Connection, key: int, *, to_seq: int) -> None:
    """Delete the rows of the entries through `to_seq`."""
    connection.execute("DELETE FROM vanished WHERE mailbox_key = ? AND seq <= ?", (key, to_seq))
