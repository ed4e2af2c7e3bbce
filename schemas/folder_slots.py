"""Compact view of a folder: the values of each message that list commands need, without its row."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.ids import FolderId, MessageId
from schemas.mailbox import Message, is_flagged, is_unread

SEEN_BIT, FLAGGED_BIT, ANSWERED_BIT, DRAFT_BIT, FORWARDED_BIT = 1, 2, 4, 8, 16
DELETED_BIT = 32  # marked as deleted in this folder
ATTACHMENTS_BIT = 64
OTHER_KEYWORDS_BIT = 128  # the row has keywords without a bit
_KEYWORD_BITS = {"$answered": ANSWERED_BIT, "$draft": DRAFT_BIT, "$forwarded": FORWARDED_BIT}
_WITH_BIT = {"$seen", "$flagged", *_KEYWORD_BITS}


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSlots:
    """The messages of a folder as columns, all in the order of their uids."""

    uids: "array[int]"  # unsigned int
    message_ids: list[MessageId]
    changed_seqs: "array[int]"  # unsigned long long
    flags: "array[int]"  # unsigned int; the bits above
    sizes_bytes: "array[int]"  # unsigned long long
    received_at_ms: "array[int]"  # signed long long

    def __len__(self) -> int:
        return len(self.uids)


Slot = tuple[int, MessageId, int, int, int, int]  # the columns of FolderSlots, in their order


def slots_of(rows: Sequence[Slot]) -> FolderSlots:
    """The columns of `rows`, which are sorted by uid."""
    uids, ids, changed_seqs, flags, sizes, received = zip(*rows, strict=True) if rows else [()] * 6
    return FolderSlots(
        uids=array("I", uids),
        message_ids=list(ids),
        changed_seqs=array("Q", changed_seqs),
        flags=array("I", flags),
        sizes_bytes=array("Q", sizes),
        received_at_ms=array("q", received),
    )


def slot_of(row: Message, folder_id: FolderId) -> Slot:
    """The slot of a message in one of its folders."""
    return (
        row.places[folder_id],
        row.message_id,
        row.changed_seq,
        slot_flags(row, folder_id),
        row.content.size_bytes,
        row.received_at_ms,
    )


def slot_flags(row: Message, folder_id: FolderId) -> int:
    """The bits of a message in a folder."""
    bits = 0 if is_unread(row.keywords) else SEEN_BIT
    bits |= FLAGGED_BIT * is_flagged(row.keywords)
    bits |= ATTACHMENTS_BIT * row.head.has_attachments
    bits |= DELETED_BIT * (folder_id in row.deleted_in)
    for keyword in row.keywords:
        bits |= _KEYWORD_BITS.get(keyword, 0 if keyword in _WITH_BIT else OTHER_KEYWORDS_BIT)
    return bits
