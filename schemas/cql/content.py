"""CQL tables of the content store.

content_place: where the content of a mail is, changed by compare-and-set only. content_row: small
contents; the key of a body is used once, so a late deletion never meets another body.
content_loose: ids with a count. content_sweep: one row, leases and the sweep that is running.
content_segment: objects that hold many small contents; content_segment_ids: the ids of the contents
that a segment was written for; content_segment_gone: those that left it. See
stores/cassandra/segments.
"""

import msgspec

from schemas.content import Lease
from schemas.cql.due import DUE_TABLES
from schemas.cql.tables import Migration, Table

LOOSE_BUCKETS = 16
NOWHERE, ROW, OBJECT, SEGMENT = "", "row", "object", "segment"
BEGUN, WRITING, SEALED, EMPTY = "begun", "writing", "sealed", "empty"  # states of a segment


class ContentPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a content is, and for how many consecutive sweeps it had no holder.

    NOWHERE: there is no content, only a count.
    """

    where: str
    key: str = ""  # of the body; of the object that is a segment
    start: int = 0  # of the content in the segment, in octets
    size_bytes: int = 0
    sha256: str = ""
    turns: int = 0
    fence: int = 0  # raised to make a change fail that was prepared before


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """An object of contents one after the other.

    BEGUN: its ids are not listed yet. WRITING: places may begin to name it. SEALED: no further
    place will. EMPTY: no place names it, and its object may be deleted.
    """

    state: str
    size_bytes: int
    since_ms: int  # of the state, by the clock of its writer


class SweepState(msgspec.Struct, frozen=True, kw_only=True):
    """`running`: the id of the sweep under way; "": none."""

    leases: dict[str, Lease] = {}
    running: str = ""


CONTENT_PLACE = Table(name="content_place", partition=("mail_id",), values=("place",))
CONTENT_ROW = Table(name="content_row", partition=("body_key",), values=("content",))
CONTENT_LOOSE = Table(name="content_loose", partition=("name", "bucket"), clustering=("mail_id",))
CONTENT_SWEEP = Table(name="content_sweep", partition=("name",), values=("state",))
CONTENT_SEGMENT = Table(name="content_segment", partition=("segment",), values=("record",))
CONTENT_SEGMENT_IDS = Table(
    name="content_segment_ids", partition=("segment",), values=("mail_ids",)
)
CONTENT_SEGMENT_GONE = Table(
    name="content_segment_gone",
    partition=("segment",),
    clustering=("mail_id",),
    values=("size_bytes",),
)
CONTENT: tuple[Migration, ...] = (
    (
        CONTENT_PLACE.create("mail_id text, place blob"),
        CONTENT_ROW.create("body_key text, content blob"),
        CONTENT_LOOSE.create("name text, bucket int, mail_id text"),
        CONTENT_SWEEP.create("name text, state blob"),
    ),
    (
        CONTENT_SEGMENT.create("segment text, record blob"),
        CONTENT_SEGMENT_IDS.create("segment text, mail_ids blob"),
        CONTENT_SEGMENT_GONE.create("segment text, mail_id text, size_bytes bigint"),
        *DUE_TABLES,
    ),
)
