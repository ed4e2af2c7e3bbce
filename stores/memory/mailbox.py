"""One user's mailbox in MemoryMailStore."""

from collections.abc import Iterable

from mail.mailbox.journal_replay import JournalReplay
from mail.ports import Commit
from schemas.consistency import Rebuild
from schemas.correspondents import Correspondent
from schemas.events.mailbox_commands import BulkFolderCommand
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import CommandId, DomainId, DraftId, FolderId, MessageId, ThreadId
from schemas.mailbox import NO_DRAFT, MailboxState, Message
from schemas.snapshot import Snapshot
from schemas.user_settings import StoredSettings


class MemoryMailbox:
    """The mailbox of one user."""

    def __init__(self) -> None:
        self.domain_id = DomainId("")
        self.journal: dict[int, MailboxChanged] = {}  # by seq; entries that are not folded
        self.commands: dict[CommandId, int] = {}
        self.pending: dict[int, Commit] = {}
        self.messages: dict[MessageId, Message] = {}
        self.threads: dict[bytes, ThreadId] = {}
        self.state = MailboxState()
        self.settings = StoredSettings()
        self.correspondents: dict[str, Correspondent] = {}
        self.folded = JournalReplay(MailboxState(), {})
        self.folded_at_ms = 0
        self.follow_ups: dict[int, BulkFolderCommand] = {}  # of folded entries, by seq
        self.rebuild: Rebuild | None = None

    @property
    def last_seq(self) -> int:
        return self.folded.state.seq + len(self.journal)

    def due(self, before_ms: int, to_seq: int) -> MailboxChanged | None:
        """Return the first entry if it may be folded and its views are written."""
        first = self.journal.get(self.folded.state.seq + 1)
        is_due = first and first.at_ms < before_ms and first.seq <= min(to_seq, self.state.seq)
        return first if is_due else None

    def fold(self, entry: MailboxChanged) -> None:
        """Move the first entry into the snapshot. Raises ValueError, KeyError: damaged."""
        self.folded.add(entry)
        del self.journal[entry.seq]
        self.folded_at_ms = entry.at_ms
        if entry.follow_up is not None:
            self.follow_ups[entry.seq] = entry.follow_up

    def snapshot(self) -> Snapshot:
        folded = self.folded
        return Snapshot(state=folded.state, at_ms=self.folded_at_ms, settings=folded.settings)

    def seqs_of(self, command_ids: Iterable[CommandId]) -> dict[CommandId, int]:
        """The seqs of commands whose views are written."""
        return {
            id_: self.commands[id_]
            for id_ in command_ids
            if 0 < self.commands.get(id_, 0) <= self.state.seq
        }

    def rows(self, message_ids: Iterable[MessageId]) -> dict[MessageId, Message]:
        return {id_: self.messages[id_] for id_ in message_ids if id_ in self.messages}

    def rows_after(self, after_id: str) -> list[Message]:
        return [self.messages[id_] for id_ in sorted(self.messages) if id_ > after_id]

    def by_draft(self, draft_id: DraftId) -> Message | None:
        """The newest message that is a version of the draft and is not destroyed."""
        rows = (row for row in self.messages.values() if row.draft_id == draft_id != NO_DRAFT)
        return max((row for row in rows if not row.destroyed), key=_created, default=None)

    def ended_uids(self, folder_id: FolderId, since_seq: int) -> tuple[int, ...]:
        """The uids of the folder that entries after `since_seq` ended, in ascending order."""
        changes = (
            change
            for entry in self.journal.values()
            if since_seq < entry.seq <= self.state.seq
            for change in entry.changes
        )
        return tuple(sorted({one.left[folder_id] for one in changes if folder_id in one.left}))


def _created(row: Message) -> int:
    return row.created_seq
