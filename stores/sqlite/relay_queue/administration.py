"""What operators read and change in relay.sqlite."""

from collections.abc import Iterator, Sequence
from itertools import islice
from sqlite3 import Connection

from mail.pagination import check_limit
from mail.ports.relay_queue import NO_KEY, RelayAction
from mail.sending.relay_actions import changed, key_of, meets
from schemas.relay import (
    AGES_MS,
    DestinationLoad,
    OldestRows,
    QueuedRecipient,
    RelayFilter,
    RelayKey,
    RelayState,
)
from stores.sqlite.relay_queue import rows as table
from stores.sqlite.relay_queue.rows import COLUMNS

_AFTER = f"""SELECT {COLUMNS} FROM relay_recipient
    WHERE (mail_id, destination, address) > (:mail_id, :destination, :address)
    {{conditions}} ORDER BY mail_id, destination, address"""  # noqa: S608
_ROW = f"""SELECT {COLUMNS} FROM relay_recipient
    WHERE mail_id = ? AND destination = ? AND address = ?"""  # noqa: S608
_LOADS = f"""SELECT destination, count(*), sum(state = 'held'), min(queued_at_ms),
    {", ".join(f"sum(queued_at_ms <= ?1 - {age_ms})" for age_ms in AGES_MS)}
    FROM relay_recipient WHERE state != 'done'
    GROUP BY destination ORDER BY count(*) DESC, destination LIMIT ?2"""  # noqa: S608
_COUNTS = "SELECT state, count(*) FROM relay_recipient WHERE state != 'done' GROUP BY state"

_OLDEST = "SELECT min(queued_at_ms) FROM relay_recipient WHERE state = 'waiting'"
_DUE = """SELECT min(next_attempt_at_ms) FROM relay_recipient
    WHERE state = 'waiting' AND report_id = ''"""


def find(
    connection: Connection, conditions: RelayFilter, *, after: RelayKey = NO_KEY, limit: int
) -> list[QueuedRecipient]:
    check_limit(limit)
    return list(islice(_found(connection, conditions, after), limit))


def _found(
    connection: Connection, conditions: RelayFilter, after: RelayKey
) -> Iterator[QueuedRecipient]:
    terms = {
        "mail_id = :of_mail": conditions.mail_id,
        "destination = :of_destination": conditions.destination,
        "queued_at_ms < :before": conditions.queued_before_ms is not None,
    }
    statement = _AFTER.format(conditions="".join(f" AND {term}" for term in terms if terms[term]))
    values = {
        "mail_id": after[0], "destination": after[1], "address": after[2],
        "of_mail": conditions.mail_id, "of_destination": conditions.destination,
        "before": conditions.queued_before_ms,
    }  # fmt: skip
    for columns in connection.execute(statement, values):
        row = table.row_of(columns)
        if not meets(row, conditions):
            continue
        mail = table.mail_of(connection, row.mail_id, row.destination)
        if conditions.user_id in {"", mail.user_id}:
            yield QueuedRecipient(row=row, mail=mail)


def change(
    connection: Connection, keys: Sequence[RelayKey], action: RelayAction, *, at_ms: int
) -> list[RelayKey]:
    found = [connection.execute(_ROW, key).fetchone() for key in keys]
    after = [changed(table.row_of(each), action, at_ms=at_ms) for each in found if each]
    rows = [row for row in after if row is not None]
    table.replace(connection, rows)
    return [key_of(row) for row in rows]


def loads(connection: Connection, *, now_ms: int, limit: int) -> list[DestinationLoad]:
    check_limit(limit)
    return [
        DestinationLoad(
            destination=destination,
            rows=rows,
            held=held,
            oldest_queued_at_ms=oldest_ms,
            by_age=tuple(ages),
        )
        for destination, rows, held, oldest_ms, *ages in connection.execute(_LOADS, (now_ms, limit))
    ]


def counts(connection: Connection) -> dict[RelayState, int]:
    return dict(connection.execute(_COUNTS).fetchall())


def oldest(connection: Connection) -> OldestRows:
    (queued_at_ms,) = connection.execute(_OLDEST).fetchone()
    (due_at_ms,) = connection.execute(_DUE).fetchone()
    return OldestRows(queued_at_ms=queued_at_ms, due_at_ms=due_at_ms)
