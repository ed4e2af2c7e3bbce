"""Pages of a mail store that reads a bounded part of a list: the same for SQLite and Cassandra."""

from abc import ABC, abstractmethod

from mail.pagination import (
    OLDEST,
    ListPosition,
    PagePart,
    check_limit,
    conversation_scope,
    decode_cursor,
    list_scope,
    page_of,
    start_of,
)
from schemas.conversations import ConversationFilter, ConversationPage
from schemas.ids import FolderId, ThreadId, UserId
from schemas.mailbox import Filter, MailboxState, Message, Page


class PagedReads(ABC):
    """Methods of MailboxReader and ConversationLists that return pages.

    Checks limits and cursors, and says what to read. `scan_max`: rows that a page with a filter
    reads.
    """

    _scan_max: int

    @abstractmethod
    async def _page(self, part: PagePart[Filter]) -> Page: ...

    @abstractmethod
    async def _conversation_page(self, part: PagePart[ConversationFilter]) -> ConversationPage: ...

    @abstractmethod
    async def _members(
        self, user_id: UserId, thread_id: ThreadId, after: ListPosition, limit: int
    ) -> list[Message]:
        """The next messages of a thread, oldest first."""

    async def page(
        self,
        user_id: UserId,
        folder_id: FolderId | None,
        *,
        conditions: Filter,
        limit: int,
        cursor: str | None,
        state: MailboxState | None = None,
    ) -> Page:
        return await self._page(
            PagePart(
                user_id=user_id, folder_id=folder_id, conditions=conditions,
                limit=check_limit(limit), scan_max=self._scan_max, state=state,
                start=start_of(cursor, *list_scope(user_id, folder_id, conditions)),
            )
        )  # fmt: skip

    async def page_at(
        self,
        user_id: UserId,
        folder_id: FolderId | None,
        *,
        conditions: Filter,
        limit: int,
        position: int,
        state: MailboxState | None = None,
    ) -> Page:
        return await self._page(
            PagePart(
                user_id=user_id, folder_id=folder_id, conditions=conditions,
                limit=check_limit(limit), scan_max=self._scan_max, state=state,
                position=position,
            )
        )  # fmt: skip

    async def conversations(
        self,
        user_id: UserId,
        folder_id: FolderId | None,
        *,
        conditions: ConversationFilter,
        limit: int,
        cursor: str | None,
        state: MailboxState | None = None,
    ) -> ConversationPage:
        return await self._conversation_page(
            PagePart(
                user_id=user_id, folder_id=folder_id, conditions=conditions,
                limit=check_limit(limit), scan_max=self._scan_max, state=state,
                start=start_of(cursor, *conversation_scope(user_id, folder_id, conditions)),
            )
        )  # fmt: skip

    async def conversations_at(
        self,
        user_id: UserId,
        folder_id: FolderId | None,
        *,
        conditions: ConversationFilter,
        limit: int,
        position: int,
        state: MailboxState | None = None,
    ) -> ConversationPage:
        return await self._conversation_page(
            PagePart(
                user_id=user_id, folder_id=folder_id, conditions=conditions,
                limit=check_limit(limit), scan_max=self._scan_max, state=state,
                position=position,
            )
        )  # fmt: skip

    async def thread(
        self, user_id: UserId, thread_id: ThreadId, *, limit: int, cursor: str | None
    ) -> Page:
        check_limit(limit)
        after = decode_cursor(cursor, user_id, thread_id) if cursor is not None else OLDEST
        rows = await self._members(user_id, thread_id, after, limit + 1)
        return page_of(rows, limit, user_id, thread_id)
