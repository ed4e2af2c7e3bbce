"""CQL tables of submissions, as migrations.

submission: the rows, changed by lightweight transactions only. The other tables name rows: of a
user by periods of ids, of a user's hours with the numbers that limits of sending count, by
idempotency key. Rows by time are entries of due.py.
"""

import msgspec

from schemas.cql.due import DUE_TABLES
from schemas.cql.tables import Migration, Table
from schemas.submissions import Submission

PERIOD_MS = 1 << 31  # of a user's list: 24.8 days
HOUR_MS = 3_600_000
VOLUME_KEPT_S = 14 * 86_400  # limits of sending look back one day at most


class StoredSubmission(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row. `is_released`: its contents are no longer held."""

    submission: Submission
    is_released: bool = False

    @property
    def version(self) -> int:
        return self.submission.version


SUBMISSION = Table(name="submission", partition=("submission_id",), values=("row",))
SUBMISSION_OF_USER = Table(
    name="submission_of_user", partition=("user_id", "period"), clustering=("submission_id",)
)
SUBMISSION_PERIOD = Table(name="submission_period", partition=("user_id",), clustering=("period",))
SENT_VOLUME = Table(
    name="sent_volume",
    partition=("user_id", "hour"),
    clustering=("created_at_ms", "submission_id"),
    values=("recipients",),
)
SENT_HOUR = Table(name="sent_hour", partition=("user_id",), clustering=("hour",))
IDEMPOTENCY_KEY = Table(
    name="idempotency_key", partition=("user_id", "idempotency_key"), values=("submission_id",)
)
_VOLUME_OPTIONS = f"default_time_to_live = {VOLUME_KEPT_S} AND gc_grace_seconds = 3600"
SUBMISSIONS: tuple[Migration, ...] = (
    (
        SUBMISSION.create("submission_id text, row blob"),
        SUBMISSION_OF_USER.create(
            "user_id text, period bigint, submission_id text",
            "CLUSTERING ORDER BY (submission_id DESC)",
        ),
        SUBMISSION_PERIOD.create(
            "user_id text, period bigint", "CLUSTERING ORDER BY (period DESC)"
        ),
        SENT_VOLUME.create(
            "user_id text, hour bigint, created_at_ms bigint, submission_id text, recipients int",
            _VOLUME_OPTIONS,
        ),
        SENT_HOUR.create("user_id text, hour bigint", _VOLUME_OPTIONS),
        IDEMPOTENCY_KEY.create("user_id text, idempotency_key text, submission_id text"),
        *DUE_TABLES,
    ),
)
