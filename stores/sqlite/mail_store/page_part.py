"""What to read of one list: the question of message_pages.py and conversation_lists.py."""

from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from mail.pagination import FROM_NEWEST, ListStart
from schemas.conversations import ConversationFilter
from schemas.ids import FolderId, UserId
from schemas.mailbox import Filter

FilterT = TypeVar("FilterT", Filter, ConversationFilter)


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePart(Generic[FilterT]):
    """`limit` rows from a start, or from a position; `folder_id` None: the list of all mail."""

    user_id: UserId
    folder_id: FolderId | None
    conditions: FilterT
    limit: int
    start: ListStart = FROM_NEWEST
    position: int | None = None
    scan_max: int

    @property
    def is_filtered(self) -> bool:
        return self.conditions != type(self.conditions)()

    def known_total(self, total: int, unread: int) -> int | None:
        """The number of rows that meet the filter; None: not known from the counts of the list.

        `total`, `unread`: of the list without a filter.
        """
        if msgspec.structs.replace(self.conditions, unread=None) != type(self.conditions)():
            return None
        return {None: total, True: unread, False: total - unread}[self.conditions.unread]
