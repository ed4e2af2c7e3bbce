"""Builder of one commit: collects message and folder changes, and keeps the counts up to date."""

from collections.abc import Iterable, Mapping

import msgspec

from mail.mailbox.journal_replay import state_after
from mail.ports import Commit
from schemas.events.mailbox_commands import NO_COMMAND, BulkFolderCommand, Command, Deliver
from schemas.events.mailbox_events import (
    Delivered,
    FolderChange,
    MailboxChanged,
    MessageChange,
    MessageChangeKind,
    Position,
)
from schemas.ids import CommandId, FolderId, MessageId, ThreadId
from schemas.mail import HeaderSummary
from schemas.mailbox import FolderCounts, MailboxState, Message, Usage, is_unread

CHANGES_MAX = 500  # messages changed by one commit
CHANGES_MAX_BYTES = 1024 * 1024  # estimated size of the entry; half of an event's maximum
_CHANGE_BYTES = 250  # estimate: ids and field names of one change


class CommitBuilder:
    """Collects one command's changes in memory; `commit` returns them, and writes nothing.

    A change that changes nothing leaves the builder empty.
    """

    def __init__(self, state: MailboxState, command: Command, position: Position) -> None:
        self._state = state
        self._command = command
        self._position = position
        self._folders: dict[FolderId, FolderCounts] = {}
        self._usage = state.usage
        self._rows: list[Message] = []
        self._changes: list[MessageChange] = []
        self._folder_changes: list[FolderChange] = []
        self._size_bytes = 0
        self.seq = state.seq + 1

    @property
    def size(self) -> int:
        """The number of changed messages."""
        return len(self._changes)

    @property
    def is_empty(self) -> bool:
        """Whether no message and no folder changes."""
        return not self._changes and not self._folder_changes

    @property
    def is_full(self) -> bool:
        """Whether a limit of the commit is reached: add no further change."""
        return len(self._changes) >= CHANGES_MAX or self._size_bytes >= CHANGES_MAX_BYTES

    def create(self, command: Deliver, row: Message, folder_id: FolderId) -> None:
        """Add the new message `row`, which has no places yet, to one folder."""
        after = msgspec.structs.replace(row, places=self._assign_uids({}, (folder_id,)))
        self._add(None, after, "created", _delivered(command))

    def put(
        self,
        before: Message,
        *,
        folder_ids: Iterable[FolderId] | None = None,
        keywords: tuple[str, ...] | None = None,
    ) -> None:
        """Set a message's folders and its keywords (sorted); None keeps them as they are."""
        folders = before.places if folder_ids is None else dict.fromkeys(folder_ids)
        keywords = before.keywords if keywords is None else keywords
        if folders.keys() == before.places.keys() and keywords == before.keywords:
            return
        places = self._assign_uids(before.places, folders)
        after = msgspec.structs.replace(
            before, places=places, keywords=keywords, changed_seq=self.seq
        )
        self._add(before, after, "updated", None)

    def destroy(self, before: Message) -> None:
        """Destroy a message. Its tombstone has no folders, keywords, header summary or hops."""
        after = msgspec.structs.replace(
            before,
            places={},
            keywords=(),
            changed_seq=self.seq,
            head=HeaderSummary(),
            hops=(),
            destroyed=True,
        )
        self._add(before, after, "destroyed", None)

    def change_folder(self, change: FolderChange) -> None:
        """Change a folder that the owner created."""
        self._folder_changes.append(change)
        self._folders[change.id] = self._counts(change.id)

    def commit(
        self,
        *,
        not_found: tuple[MessageId, ...] = (),
        threads: Mapping[bytes, ThreadId] | None = None,
        origin_id: CommandId = NO_COMMAND,
        follow_up: BulkFolderCommand | None = None,
    ) -> Commit:
        """The commit of all changes so far. `threads`: thread ids to bind, by thread key."""
        entry = MailboxChanged(
            user_id=self._command.user_id,
            domain_id=self._command.domain_id,
            seq=self.seq,
            command_id=self._command.command_id,
            position=self._position,
            changes=tuple(self._changes),
            folder_changes=tuple(self._folder_changes),
            folders=tuple(self._folders.values()),
            usage=self._usage,
            at_ms=self._command.at_ms,
            not_found=not_found,
            origin_id=origin_id,
            follow_up=follow_up,
        )
        after = state_after(self._state, entry, self._usage)
        return Commit(
            entry=entry, messages=tuple(self._rows), state=after, threads=dict(threads or {})
        )

    def _assign_uids(
        self, before: Mapping[FolderId, int], folder_ids: Iterable[FolderId]
    ) -> dict[FolderId, int]:
        """The message's uid in each folder: the present uid, or the next one of a new folder.

        A uid does not change while the message stays in its folder (RFC 9051 §2.3.1.1).
        """
        return {id_: before.get(id_) or self._counts(id_).next_uid for id_ in folder_ids}

    def _add(
        self,
        before: Message | None,
        after: Message,
        change: MessageChangeKind,
        delivered: Delivered | None,
    ) -> None:
        self._rows.append(after)
        self._changes.append(
            MessageChange(
                change=change,
                message_id=after.message_id,
                places=after.places,
                keywords=after.keywords,
                thread_id=after.thread_id,
                delivered=delivered,
            )
        )
        self._size_bytes += _CHANGE_BYTES + sum(map(len, (*after.places, *after.keywords)))
        self._recount(before, after)

    def _recount(self, before: Message | None, after: Message) -> None:
        if before is not None:
            unread = int(is_unread(before.keywords))
            for id_ in before.places:
                self._add_counts(id_, total=-1, unread=-unread)
        for id_, uid in after.places.items():
            self._add_counts(id_, total=1, unread=int(is_unread(after.keywords)), uid=uid)
        alive = int(not after.destroyed) - int(before is not None)
        self._usage = Usage(
            self._usage.size_bytes + alive * after.content.size_bytes,
            self._usage.messages + alive,
        )

    def _add_counts(self, folder_id: FolderId, *, total: int, unread: int, uid: int = 0) -> None:
        before = self._counts(folder_id)
        self._folders[folder_id] = FolderCounts(
            folder_id,
            before.total + total,
            before.unread + unread,
            max(before.next_uid, uid + 1),
        )

    def _counts(self, folder_id: FolderId) -> FolderCounts:
        counts = self._folders.get(folder_id) or self._state.folders.get(folder_id)
        return counts or FolderCounts(folder_id)


def _delivered(command: Deliver) -> Delivered:
    return Delivered(
        mail_id=command.mail_id,
        content=command.content,
        received_at_ms=command.received_at_ms,
        verdict=command.verdict,
        hops=command.hops,
    )
