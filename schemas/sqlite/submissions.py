"""Table of the submission store, as migrations."""

from schemas.sqlite.migrations import Statements

# version, partition, recipients, times are copied from the blob.
# fire_at_ms: of held rows. settled_at_ms: of final rows. is_released: its contents are not held.
SUBMISSIONS: tuple[Statements, ...] = (
    (
        """CREATE TABLE submission (
            submission_id TEXT PRIMARY KEY NOT NULL,
            user_id TEXT NOT NULL,
            version INTEGER NOT NULL,
            created_at_ms INTEGER NOT NULL,
            recipients INTEGER NOT NULL,
            partition INTEGER NOT NULL,
            fire_at_ms INTEGER,
            settled_at_ms INTEGER,
            is_released INTEGER NOT NULL DEFAULT 0,
            submission BLOB NOT NULL
        ) STRICT, WITHOUT ROWID""",
        """CREATE INDEX submission_by_user
            ON submission (user_id, submission_id)""",
        """CREATE INDEX submission_by_time
            ON submission (user_id, created_at_ms, recipients)""",
        """CREATE INDEX submission_held ON submission (partition, fire_at_ms)
            WHERE fire_at_ms IS NOT NULL""",
        """CREATE INDEX submission_settled ON submission (is_released, settled_at_ms)
            WHERE settled_at_ms IS NOT NULL""",
        """CREATE TABLE idempotency_key (
            user_id TEXT NOT NULL,
            idempotency_key TEXT NOT NULL,
            submission_id TEXT NOT NULL,
            PRIMARY KEY (user_id, idempotency_key)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX key_by_submission ON idempotency_key (submission_id)",
    ),
)
