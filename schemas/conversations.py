"""Conversations in lists: the messages of one thread that one list shows, as one row."""

import msgspec

from schemas.ids import FolderId, MessageId, ThreadId
from schemas.mailbox import Message

ALL_MAIL = FolderId("")  # instead of a folder's id: the list of all mail but junk and trash


class ConversationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions on the conversations of a list; None sets no condition.

    A conversation meets `unread`, `flagged`, `has_attachments` or `keyword` if one of its messages
    in the list does; it meets False if no message does.
    """

    unread: bool | None = None
    flagged: bool | None = None
    has_attachments: bool | None = None
    keyword: str | None = None  # in lower case


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of one thread in one list; values are of these messages, if not said otherwise.

    `recent` are the newest messages, and those of `sent`; newest first.
    """

    thread_id: ThreadId
    folder_ids: tuple[FolderId, ...]  # sorted: where the messages of the thread are shown
    received_at_ms: int  # of the newest message
    total: int
    unread: int
    is_flagged: bool
    has_attachments: bool
    has_draft: bool
    keywords: tuple[str, ...]  # sorted, without $seen
    message_ids: tuple[MessageId, ...]  # of the newest messages, newest first
    recent: tuple[Message, ...]

    @property
    def latest_id(self) -> MessageId:
        return self.message_ids[0]


class ConversationPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of conversations, newest first; with a filter it may be short and have a next page.

    `position` and `total` are those of a page that was asked for by position.
    """

    conversations: tuple[Conversation, ...]
    next_cursor: str | None
    previous_cursor: str | None
    seq: int  # of the mailbox: all rows show this moment
    position: int | None = None
    total: int | None = None


class ThreadLists(msgspec.Struct, frozen=True, kw_only=True):
    """Threads in every list that shows them; a thread that no list shows is missing.

    `lists`: by thread, its conversation by folder; ALL_MAIL too, first.
    """

    lists: dict[ThreadId, dict[FolderId, Conversation]]
    seq: int  # of the mailbox, when the rows were read


class ThreadCounts(msgspec.Struct, frozen=True):
    """Threads with messages in a list, and those of them with unread messages there."""

    threads: int = 0
    unread_threads: int = 0
