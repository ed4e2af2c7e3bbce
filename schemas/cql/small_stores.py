"""CQL tables of the small stores, as migrations. Holders.

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
