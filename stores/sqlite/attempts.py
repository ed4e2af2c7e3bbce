"""Attempts in one SQLite file, written and read by every process that checks passwords."""

from collections.abc import Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Self

from mail.ports import CLOCK_SKEW_MS, Attempts
from schemas.directory import AttemptLimit, CountedAttempt
from schemas.sqlite.attempts import ATTEMPTS
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.group_commit import SqliteFile

# The attempt that must leave the window before another one is admitted: the `most`th newest.
_IN_THE_WAY = (
    "SELECT at_ms FROM attempt WHERE key = ? AND at_ms > ? AND at_ms <= ?"
    " ORDER BY at_ms DESC LIMIT 1 OFFSET ?"
)
_COUNT = "INSERT OR IGNORE INTO attempt VALUES (?, ?, ?)"
_WITHDRAW = "DELETE FROM attempt WHERE key = ? AND at_ms = ? AND attempt_id = ?"


class SqliteAttempts(Attempts):
    """Made by `open`; `close` it."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    @classmethod
    async def open(cls, path: Path, config: SqliteConfig | None = None) -> Self:
        """Fatal: a newer version's file. StoreUnavailable: it cannot be opened."""
        small = SqliteConfig(readers=1, cache_kib=1024)
        return cls(await SqliteFile.open(path, ATTEMPTS, config or small))

    async def close(self) -> None:
        await self._file.close()

    async def begin(self, attempt: CountedAttempt, limits: Sequence[AttemptLimit]) -> int:
        def work(connection: Connection) -> int:
            wait_ms = _wait_ms(connection, limits, attempt.at_ms)
            if not wait_ms:
                connection.executemany(_COUNT, _rows(attempt))
            return wait_ms

        return await self._file.write(work)

    async def wait_ms(self, limits: Sequence[AttemptLimit], *, at_ms: int) -> int:
        return await self._file.read(lambda c: _wait_ms(c, limits, at_ms))

    async def withdraw(self, attempt: CountedAttempt) -> None:
        await self._file.write(lambda c: c.executemany(_WITHDRAW, _rows(attempt)).rowcount)

    async def prune(self, *, before_ms: int) -> int:
        statement = "DELETE FROM attempt WHERE at_ms < ?"
        return await self._file.write(lambda c: c.execute(statement, (before_ms,)).rowcount)


def _rows(attempt: CountedAttempt) -> list[tuple[str, int, str]]:
    return [(key, attempt.at_ms, attempt.attempt_id) for key in attempt.keys]


def _wait_ms(connection: Connection, limits: Sequence[AttemptLimit], at_ms: int) -> int:
    return max((_wait_for_ms(connection, limit, at_ms) for limit in limits), default=0)


def _wait_for_ms(connection: Connection, limit: AttemptLimit, at_ms: int) -> int:
    span = (at_ms - limit.window_ms, at_ms + CLOCK_SKEW_MS)
    found = connection.execute(_IN_THE_WAY, (limit.key, *span, limit.most - 1)).fetchone()
    return min(found[0] + limit.window_ms - at_ms, limit.window_ms) if found else 0
