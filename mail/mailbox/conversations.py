"""Conversations: which lists show a message, and the sums over its thread's messages there.

A list is a folder, or all mail (ALL_MAIL): every folder but junk and trash. Pure, for all stores.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from schemas.conversations import ALL_MAIL, ConversationFilter
from schemas.ids import FolderId
from schemas.mailbox import DRAFT, JUNK, SEEN, SENT, TRASH, Message, is_flagged, is_unread

UNREAD_BIT, FLAGGED_BIT, ATTACHMENTS_BIT, DRAFT_BIT = 1, 2, 4, 8
MESSAGE_IDS_MAX = 100  # of the newest messages of a conversation
RECENT_MAX = 20  # messages that are read for the row of a conversation; as many of `sent`
_NOT_IN_ALL_MAIL = frozenset((JUNK, TRASH))


@dataclass(slots=True)
class ConversationSums:
    """ConversationSums over the messages of a thread in one list."""

    total: int = 0
    unread: int = 0
    flagged: int = 0
    attachments: int = 0
    drafts: int = 0
    keywords: dict[str, int] = field(default_factory=dict)  # without $seen

    def add(self, flags: int, keywords: Iterable[str], sign: int = 1) -> None:
        """Add `sign` messages with these flag bits and keywords; a negative number subtracts."""
        self.total += sign
        if flags & UNREAD_BIT:
            self.unread += sign
        if flags & FLAGGED_BIT:
            self.flagged += sign
        if flags & ATTACHMENTS_BIT:
            self.attachments += sign
        if flags & DRAFT_BIT:
            self.drafts += sign
        for keyword in keywords:
            self.keywords[keyword] = self.keywords.get(keyword, 0) + sign

    def meets(self, conditions: ConversationFilter) -> bool:
        return (
            conditions.unread in (None, self.unread > 0)
            and conditions.flagged in (None, self.flagged > 0)
            and conditions.has_attachments in (None, self.attachments > 0)
            and (conditions.keyword is None or self.keywords.get(conditions.keyword, 0) > 0)
        )


def in_all_mail(folder_id: FolderId) -> bool:
    """Whether the list of all mail shows the messages of the folder."""
    return folder_id not in _NOT_IN_ALL_MAIL


def lists_of(folder_ids: Collection[FolderId]) -> tuple[FolderId, ...]:
    """The lists that show a message which is shown in these folders."""
    if any(map(in_all_mail, folder_ids)):
        return (ALL_MAIL, *folder_ids)
    return tuple(folder_ids)


def folders_of_list(list_id: FolderId, folder_ids: Collection[FolderId]) -> tuple[FolderId, ...]:
    """Those of the folders whose messages the list shows."""
    if list_id == ALL_MAIL:
        return tuple(filter(in_all_mail, folder_ids))
    return tuple(id_ for id_ in folder_ids if id_ == list_id)


def sent_beside(list_id: FolderId, folder_ids: Collection[FolderId]) -> tuple[FolderId, ...]:
    """Folders with the owner's answers that the list does not show: `sent`, or none."""
    is_beside = SENT in folder_ids and list_id not in (ALL_MAIL, SENT)
    return (SENT,) if is_beside else ()


def flags_of(row: Message) -> int:
    """The flag bits of a message."""
    return (
        UNREAD_BIT * is_unread(row.keywords)
        | FLAGGED_BIT * is_flagged(row.keywords)
        | ATTACHMENTS_BIT * row.head.has_attachments
        | DRAFT_BIT * (DRAFT in row.keywords)
    )


def keywords_of(row: Message) -> list[str]:
    """The keywords of a message, sorted, without $seen."""
    return sorted(keyword for keyword in row.keywords if keyword != SEEN)
