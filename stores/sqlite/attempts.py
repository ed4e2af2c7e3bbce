"""Attempts in attempts.sqlite, written and read by every process that checks passwords."""

from collections.abc import Sequence
from sqlite3 import Connection

from mail.ports import CLOCK_SKEW_MS, Attempts
from schemas.directory import AttemptLimit, CountedAttempt
from schemas.sqlite.attempts import ATTEMPTS
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.single_file_store import SingleFileStore, reads, writes

# The attempt that must leave the window before a further attempt is admitted: the `most`th newest.
_BLOCKING = (
    "SELECT at_ms FROM attempt WHERE key = ? AND at_ms > ? AND at_ms <= ?"
    " ORDER BY at_ms DESC LIMIT 1 OFFSET ?"
)
_COUNT = "INSERT OR IGNORE INTO attempt VALUES (?, ?, ?)"
_WITHDRAW = "DELETE FROM attempt WHERE key = ? AND at_ms = ? AND attempt_id = ?"


def _begin(connection: Connection, attempt: CountedAttempt, limits: Sequence[AttemptLimit]) -> int:
    wait_ms = _wait_ms(connection, limits, at_ms=attempt.at_ms)
    if not wait_ms:
        connection.executemany(_COUNT, _rows(attempt))
    return wait_ms


def _wait_ms(connection: Connection, limits: Sequence[AttemptLimit], *, at_ms: int) -> int:
    return max((_wait_for_ms(connection, limit, at_ms) for limit in limits), default=0)


def _wait_for_ms(connection: Connection, limit: AttemptLimit, at_ms: int) -> int:
    """Milliseconds until `limit` admits a further attempt; 0: now."""
    window = (at_ms - limit.window_ms, at_ms + CLOCK_SKEW_MS)
    blocking = connection.execute(_BLOCKING, (limit.key, *window, limit.most - 1)).fetchone()
    return min(blocking[0] + limit.window_ms - at_ms, limit.window_ms) if blocking else 0


def _withdraw(connection: Connection, attempt: CountedAttempt) -> None:
    connection.executemany(_WITHDRAW, _rows(attempt))


def _prune(connection: Connection, *, before_ms: int) -> int:
    return connection.execute("DELETE FROM attempt WHERE at_ms < ?", (before_ms,)).rowcount


def _rows(attempt: CountedAttempt) -> list[tuple[str, int, str]]:
    return [(key, attempt.at_ms, attempt.attempt_id) for key in attempt.keys]


class SqliteAttempts(SingleFileStore, Attempts):
    """Attempts over one SQLite file. Create it with `open`; `close` it."""

    migrations = ATTEMPTS
    default_config = SqliteConfig(readers=1, cache_kib=1024)

    begin = writes(_begin)
    wait_ms = reads(_wait_ms)
    withdraw = writes(_withdraw)
    prune = writes(_prune)
