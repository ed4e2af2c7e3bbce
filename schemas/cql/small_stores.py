"""CQL tables of the small stores, as migrations: holders, quarantine, outlines.

holder: one partition for each mail. `ref` is written by a hold, `released` by a release, each in a
cell of its own, so that the result does not depend on the order or the clocks of the writers.
holder_of_kind: the same for the kinds that are listed, by kind and by a hash of the mail id.
"""

from schemas.cql.tables import Migration, Table

KIND_BUCKETS = 16

HOLDER = Table(name="holder", partition=("mail_id",), clustering=("holder",), values=("ref",))
HOLDER_OF_KIND = Table(
    name="holder_of_kind",
    partition=("kind", "bucket"),
    clustering=("mail_id", "holder"),
    values=("ref",),
)
HOLDERS: tuple[Migration, ...] = (
    (
        HOLDER.create("mail_id text, holder text, ref text, released boolean"),
        HOLDER_OF_KIND.create(
            "kind text, bucket int, mail_id text, holder text, ref text, released boolean"
        ),
    ),
)

# quarantined: rows by mail id, changed by compare-and-set only. quarantine_day: the ids of a day of
# mail ids, without the rows; `reason` for lists of one reason. quarantine_days: the days with ids.
QUARANTINED = Table(name="quarantined", partition=("mail_id",), values=("quarantined",))
QUARANTINE_DAY = Table(
    name="quarantine_day",
    partition=("day", "bucket"),
    clustering=("mail_id",),
    values=("reason",),
)
QUARANTINE_DAYS = Table(name="quarantine_days", partition=("name",), clustering=("day",))
RELEASED = Table(name="quarantine_released", partition=("name",), clustering=("mail_id",))
DAY_BUCKETS = 16
QUARANTINE: tuple[Migration, ...] = (
    (
        QUARANTINED.create("mail_id text, quarantined blob"),
        QUARANTINE_DAY.create(
            "day text, bucket int, mail_id text, reason text",
            "CLUSTERING ORDER BY (mail_id DESC)",
        ),
        QUARANTINE_DAYS.create("name text, day text", "CLUSTERING ORDER BY (day DESC)"),
        RELEASED.create("name text, mail_id text"),
    ),
)

# outline: one row for each mail, walked by tokens; a replaced outline is the same row.
OUTLINE = Table(name="outline", partition=("mail_id",), values=("outline",))
OUTLINES: tuple[Migration, ...] = ((OUTLINE.create("mail_id text, outline blob"),),)
