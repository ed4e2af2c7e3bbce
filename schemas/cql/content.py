"""CQL tables of the content store.

content_place: where the content of a mail is, changed by compare-and-set only. content_row: small
contents; the key of a body is used once, so a late deletion never meets another body.
content_loose: ids with a count. content_sweep: one row, leases and the sweep that is running.
"""

import msgspec

from schemas.content import Lease
from schemas.cql.tables import Migration, Table

LOOSE_BUCKETS = 16
NOWHERE, ROW, OBJECT = "", "row", "object"


class ContentPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a content is, and for how many consecutive sweeps it had no holder.

    NOWHERE: there is no content, only a count.
    """

    where: str
    key: str = ""  # of the body
    size_bytes: int = 0
    sha256: str = ""
    turns: int = 0


class SweepState(msgspec.Struct, frozen=True, kw_only=True):
    """`running`: the id of the sweep under way; "": none."""

    leases: dict[str, Lease] = {}
    running: str = ""


CONTENT_PLACE = Table(name="content_place", partition=("mail_id",), values=("place",))
CONTENT_ROW = Table(name="content_row", partition=("body_key",), values=("content",))
CONTENT_LOOSE = Table(name="content_loose", partition=("name", "bucket"), clustering=("mail_id",))
CONTENT_SWEEP = Table(name="content_sweep", partition=("name",), values=("state",))
CONTENT: tuple[Migration, ...] = (
    (
        CONTENT_PLACE.create("mail_id text, place blob"),
        CONTENT_ROW.create("body_key text, content blob"),
        CONTENT_LOOSE.create("name text, bucket int, mail_id text"),
        CONTENT_SWEEP.create("name text, state blob"),
    ),
)
