"""Journal, state, rows and lists of every mailbox, by what their callers need."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from mail.ports.owner_views import OwnerViews
from schemas.consistency import ConsistencyReport, Rebuild
from schemas.conversations import ConversationFilter, ConversationPage, ThreadCounts, ThreadLists
from schemas.events.mailbox_commands import RebuildViews
from schemas.events.mailbox_events import MailboxChanged
from schemas.folder_slots import FolderSlots
from schemas.ids import CommandId, DomainId, DraftId, FolderId, MailId, MessageId, ThreadId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import Filter, Folder, MailboxState, Message, Page, Usage
from schemas.snapshot import MessageRecord, Snapshot


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """All that one mailbox command writes."""

    entry: MailboxChanged
    messages: tuple[Message, ...]  # the rows after the change, one for each of the entry's changes
    state: MailboxState  # after the change; its seq is the entry's
    threads: dict[bytes, ThreadId] = {}  # to bind: hash of a message id -> thread id


class MailboxReader(Protocol):
    """State, message rows and lists of every mailbox, for any caller."""

    async def state(self, user_id: UserId) -> MailboxState:
        """Return the stored state; reads only, for any caller. A new user: MailboxState().

        Every change up to its seq can be read; a commit under way is not in it.
        """
        ...

    async def folders(self, user_id: UserId) -> tuple[Folder, ...]:
        """The standard folders in the order of FOLDERS, then the owner's by name."""
        ...

    async def message(self, user_id: UserId, message_id: MessageId) -> Message | None:
        """Tombstones too (`destroyed`). Another user's message: None."""
        ...

    async def messages(
        self, user_id: UserId, message_ids: Sequence[MessageId]
    ) -> dict[MessageId, Message]:
        """Those that exist and are not destroyed, by id."""
        ...

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
        """Newest `received_at_ms` first, then by message id; stable under arrivals.

        `folder_id` None: all mail but junk and trash. A filter that finds little is bounded in what
        it looks at: then the page is short, and its cursor goes on. `state`: one that the caller
        has read, which a store whose reads are not of one moment need not read again: the page is
        as new or newer. Refused: a cursor that this store did not give. 1 <= limit <= 500.
        """
        ...

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
        """The messages of the list from `position` on, 0 is the newest, and their exact number.

        A message of several folders counts once in all mail. Refused: a position above
        POSITION_MAX (mail/pagination.py); a filter on a list that has more messages than that.
        1 <= limit <= 500.
        """
        ...

    async def by_uid(
        self, user_id: UserId, folder_id: FolderId, *, after_uid: int, limit: int
    ) -> list[Message]:
        """Messages of a folder with uid > after_uid, by uid. Refused: limit is not 1 to 500."""
        ...

    async def by_id(self, user_id: UserId, *, after_id: str, limit: int) -> list[Message]:
        """Messages that are not destroyed with an id above `after_id`, by id; 1 <= limit <= 500."""
        ...

    async def thread(
        self, user_id: UserId, thread_id: ThreadId, *, limit: int, cursor: str | None
    ) -> Page:
        """A conversation's messages in the order of their arrival, wherever they lie.

        Refused: a cursor that this store did not give. 1 <= limit <= 500.
        """
        ...

    async def usage(self, user_id: UserId) -> Usage: ...


class ConversationLists(Protocol):
    """Lists of conversations: the threads that a folder, or all mail, shows, newest first.

    A thread is at the position of its newest message in the list, and counts only messages there.
    `folder_id` None: all mail but junk and trash. All of an answer is of one moment.
    """

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
        """Stable under arrivals. A filter that finds little is bounded as in `page`.

        Refused: a cursor that this store did not give. 1 <= limit <= 500.
        """
        ...

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
        """The conversations from `position` on, 0 is the newest, and their exact number.

        Refused: a position above POSITION_MAX (mail/pagination.py); a filter on a list that has
        more conversations than that. 1 <= limit <= 500.
        """
        ...

    async def thread_lists(self, user_id: UserId, thread_ids: Sequence[ThreadId]) -> ThreadLists:
        """The conversations of these threads in every list.

        The work of a thread is that of a row of a page, for each list.
        """
        ...

    async def thread_counts(self, user_id: UserId) -> dict[FolderId, ThreadCounts]:
        """By folder; ALL_MAIL too. A folder that shows no message may be missing."""
        ...


class FolderViews(Protocol):
    """Compact views of the folders, for protocols that show whole folders."""

    async def slots(self, user_id: UserId, folder_id: FolderId) -> FolderSlots:
        """Every message of the folder, by uid."""
        ...

    async def changed(self, user_id: UserId, folder_id: FolderId, *, since_seq: int) -> FolderSlots:
        """The messages of the folder that changed after `since_seq`, by uid."""
        ...

    async def vanished(
        self, user_id: UserId, folder_id: FolderId, *, since_seq: int
    ) -> tuple[int, ...]:
        """Uids of the folder that ended after `since_seq`, in ascending order.

        A uid also ends when its message gets a new uid in the same folder (RFC 7162 §3.2.10).
        Raises JournalTruncated: steps after `since_seq` are folded.
        """
        ...

    async def keywords(self, user_id: UserId) -> tuple[str, ...]:
        """Every keyword of a message that lists show, sorted; without $seen."""
        ...


class MailboxHistory(Protocol):
    """The journal of every mailbox, its snapshot, and the views compared with it."""

    async def journal(self, user_id: UserId, *, since_seq: int, limit: int) -> list[MailboxChanged]:
        """Entries with seq > since_seq, in order. FeedGone: some of them are folded."""
        ...

    async def command_seqs(
        self, user_id: UserId, command_ids: Sequence[CommandId]
    ) -> dict[CommandId, int]:
        """The seq of the step that each command made, also if it is folded.

        A command that made no step, or none yet, is missing. At most 500 commands.
        """
        ...

    async def snapshot(self, user_id: UserId) -> Snapshot:
        """Return the snapshot of the mailbox's folded journal; Snapshot() before the first fold."""
        ...

    async def snapshot_records(
        self, user_id: UserId, *, after_id: str, limit: int
    ) -> list[MessageRecord]:
        """The snapshot's messages with an id above `after_id`, by id; tombstones too.

        1 <= limit <= 500. Records are of the moment of the call: fold and read do not go together.
        """
        ...

    async def check(self, user_id: UserId) -> ConsistencyReport:
        """Views compared with the journal up to the seq of one moment.

        Memory does not grow with the mailbox. What a later step has changed is no difference.
        """
        ...

    async def rows_after(self, user_id: UserId, *, after_id: str, limit: int) -> list[Message]:
        """Rows with an id above `after_id`, by id; tombstones too, without those that are damaged.

        1 <= limit <= 500.
        """
        ...


class MailboxWriter(Protocol):
    """Writes of every mailbox. One writer per user: the stage `mailbox`."""

    async def load(self, user_id: UserId) -> MailboxState:
        """The state, after views are brought up to the journal. A new user: MailboxState().

        Writes what a commit that was cut short left undone: for the mailbox's writer only.
        """
        ...

    async def commit(self, commit: Commit) -> None:
        """Journal first, then views and state. The same commit again changes nothing.

        JournalConflict: the journal holds another command_id at (user, seq), or `seq` leaves a gap.
        Calls of many users may be written together; each fails or succeeds alone.
        """
        ...

    async def commit_all(self, commits: Sequence[Commit]) -> None:
        """Write successive commits of one user together. Raises as `commit` does.

        After an error the first of them may be written, and the others not.
        """
        ...

    async def by_command(self, user_id: UserId, command_id: CommandId) -> MailboxChanged | None:
        """FeedGone, with the entry's follow-up: it was carried out, and its entry is folded."""
        ...

    async def rows(
        self, user_id: UserId, message_ids: Sequence[MessageId]
    ) -> dict[MessageId, Message]:
        """Those that exist, tombstones too, by id."""
        ...

    async def rows_and_threads(
        self, user_id: UserId, message_ids: Sequence[MessageId], keys: Sequence[bytes]
    ) -> tuple[dict[MessageId, Message], dict[bytes, ThreadId]]:
        """The rows as `rows` returns them, and which of `keys` are bound to which thread.

        A key is the hash of a Message-ID (mail/mailbox/threads.py). All are of one moment.
        """
        ...

    async def fold(self, user_id: UserId, *, before_ms: int, to_seq: int) -> int:
        """Fold the journal's first entries into the snapshot; the number of folded entries.

        Stops before the first entry from `before_ms` or later, and after `to_seq`: the caller, the
        mailbox's writer, vouches that every event up to there is published. One call folds a
        bounded number of entries, and at least one that is due; none during a rebuild.
        JournalDamaged (mail/mailbox/consistency_check.py): nothing was written.
        """
        ...

    async def rebuilding(self, user_id: UserId) -> Rebuild | None:
        """Progress of the mailbox's last rebuild."""
        ...

    async def rebuild(
        self, order: RebuildViews, heads: Mapping[MessageId, HeaderSummary]
    ) -> Rebuild:
        """Do one bounded step: rewrite from the journal the views that differ from it.

        `heads`, by message id: of the progress's `lacking`, those whose row is gone. A step that is
        done, or is not the next one, changes nothing. Commits may happen between the steps. For the
        writer of the mailbox only. JournalDamaged (mail/mailbox/consistency_check.py), Refused:
        nothing was written.
        """
        ...


class MailLookup(Protocol):
    """Messages by mail or by draft, and sums over a domain."""

    async def by_draft(self, user_id: UserId, draft_id: DraftId) -> Message | None:
        """Return the user's message that is the present version of a draft.

        The newest, if several are not destroyed. None: there is no such draft.
        """
        ...

    async def by_mail(self, mail_id: MailId) -> list[Message]:
        """Return every message of a mail, tombstones too; for operators."""
        ...

    async def by_mails(self, mail_ids: Iterable[MailId]) -> list[Message]:
        """As `by_mail`, for many mails at once, in no order."""
        ...

    async def domain_usage(self, domain_id: DomainId) -> Usage:
        """Of all its users together."""
        ...


class MailStore(
    MailboxReader,
    ConversationLists,
    FolderViews,
    OwnerViews,
    MailboxHistory,
    MailboxWriter,
    MailLookup,
    Protocol,
):
    """Journal, state, message rows and lists of every mailbox."""
