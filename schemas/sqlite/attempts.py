"""Table of counted login attempts, as migrations (schemas/sqlite/migrations.py)."""

from schemas.sqlite.migrations import Statements

ATTEMPTS: tuple[Statements, ...] = (
    (
        """CREATE TABLE attempt (
            key TEXT NOT NULL,
            at_ms INTEGER NOT NULL,
            attempt_id TEXT NOT NULL,
            PRIMARY KEY (key, at_ms, attempt_id)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX attempt_by_time ON attempt (at_ms)",
    ),
)
