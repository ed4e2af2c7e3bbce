"""Statements of the content sweep: counts of unheld contents, and leases.

Every function runs inside a transaction of the content store.
"""

from collections.abc import Callable, Sequence
from sqlite3 import Connection

from mail.clock import now_ms
from schemas.content import Lease
from schemas.ids import MailId

_COUNT = """INSERT INTO loose VALUES (?, 1) ON CONFLICT DO UPDATE SET turns = turns + 1
    RETURNING turns"""
_END_COUNT = "DELETE FROM loose WHERE mail_id = ?"
_LOOSE = "SELECT mail_id FROM loose WHERE mail_id > ? ORDER BY mail_id LIMIT ?"
_TAKE = "INSERT OR IGNORE INTO lease VALUES (?, ?, ?, 0)"
_RENEW = "UPDATE lease SET beats = beats + 1 WHERE lease_id = ?"
_LEASES = "SELECT lease_id, purpose, taken_at_ms, beats FROM lease ORDER BY lease_id"


def end_count(connection: Connection, ref: str) -> None:
    """Delete the count of `ref`, because the content is needed."""
    connection.execute(_END_COUNT, (ref,))


def is_counted(connection: Connection, ref: str) -> bool:
    return (
        connection.execute("SELECT 1 FROM loose WHERE mail_id = ?", (ref,)).fetchone() is not None
    )


def loose(connection: Connection, *, after: str, limit: int) -> list[MailId]:
    return [ref for (ref,) in connection.execute(_LOOSE, (after, limit))]


def sweep(
    connection: Connection,
    loose: Sequence[str],
    held: Sequence[str],
    turns: int,
    delete: Callable[[str], None],
) -> list[str]:
    """Run ContentSweep.sweep; `delete` deletes one content in this transaction."""
    if connection.execute("SELECT 1 FROM lease").fetchone() is not None:
        return []
    for ref in held:
        end_count(connection, ref)
    expired = [ref for ref in loose if connection.execute(_COUNT, (ref,)).fetchone()[0] >= turns]
    for ref in expired:
        delete(ref)
        end_count(connection, ref)
    return expired


def take_lease(connection: Connection, lease_id: str, purpose: str) -> None:
    connection.execute(_TAKE, (lease_id, purpose, now_ms()))


def renew_lease(connection: Connection, lease_id: str) -> bool:
    return connection.execute(_RENEW, (lease_id,)).rowcount == 1


def end_lease(connection: Connection, lease_id: str) -> None:
    connection.execute("DELETE FROM lease WHERE lease_id = ?", (lease_id,))


def leases(connection: Connection) -> list[Lease]:
    return [
        Lease(lease_id=lease_id, purpose=purpose, taken_at_ms=at_ms, beats=beats)
        for lease_id, purpose, at_ms, beats in connection.execute(_LEASES)
    ]
