"""Builder of one commit: collects message and folder changes, and keeps the counts up to date."""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from mail.mailbox.folders import descendants
from mail.mailbox.journal_replay import state_after
from mail.ports import Commit
from schemas.events.mailbox_commands import NO_COMMAND, BulkFolderCommand, Command
from schemas.events.mailbox_events import (
    Delivered,
    Failures,
    FolderChange,
    MailboxChanged,
    MessageChange,
    MessageChangeKind,
    Position,
)
from schemas.ids import CommandId, FolderId, MessageId, ThreadId
from schemas.mail import HeaderSummary
from schemas.mailbox import FolderCounts, MailboxState, Message, TypeSeqs, Usage, is_unread
from schemas.submissions import SubmissionNote
from schemas.user_settings import SettingsPatch

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
        self._uidvalidity = state.last_uidvalidity
        self._usage = state.usage
        self._rows: list[Message] = []
        self._changes: list[MessageChange] = []
        self._folder_changes: list[FolderChange] = []
        self._subscribed_names: tuple[str, ...] | None = None
        self._settings: SettingsPatch | None = None
        self._submission: SubmissionNote | None = None
        self._threads: dict[bytes, ThreadId] = {}
        self._not_found: list[MessageId] = []
        self._conflicts: list[MessageId] = []
        self._refusals: dict[MessageId, str] = {}
        self._size_bytes = 0
        self.seq = state.seq + 1
        self.unchanged = 0  # messages that were already as the command asked

    @property
    def size(self) -> int:
        """The number of changed messages."""
        return len(self._changes)

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        changed = self._changes or self._folder_changes or self._settings or self._submission
        return not changed and self._subscribed_names is None

    @property
    def failures(self) -> Failures:
        """The messages that the command does not change, so far."""
        return Failures(
            not_found=tuple(self._not_found),
            conflicts=tuple(self._conflicts),
            refusals=self._refusals,
        )

    @property
    def is_full(self) -> bool:
        """Whether a limit of the commit is reached: add no further change."""
        return len(self._changes) >= CHANGES_MAX or self._size_bytes >= CHANGES_MAX_BYTES

    def create(self, row: Message, folder_ids: Iterable[FolderId]) -> None:
        """Add the new message `row`, which has no places yet, to the folders."""
        places = self._assign_uids({}, dict.fromkeys(folder_ids))
        self._add(None, msgspec.structs.replace(row, places=places), "created", _delivered(row))

    def put(
        self,
        before: Message,
        *,
        folder_ids: Iterable[FolderId] | None = None,
        keywords: tuple[str, ...] | None = None,
        deleted_in: Collection[FolderId] | None = None,
        renew_uids_in: Collection[FolderId] = (),
    ) -> None:
        """Set a message's folders, keywords (sorted) and marks; None keeps them as they are.

        A mark ends with its place. A place in one of `renew_uids_in` gets a new uid.
        """
        folders = before.places if folder_ids is None else dict.fromkeys(folder_ids)
        kept = {id_: uid for id_, uid in before.places.items() if id_ not in renew_uids_in}
        marked = before.deleted_in if deleted_in is None else deleted_in
        after = msgspec.structs.replace(
            before,
            places=self._assign_uids(kept, folders),
            keywords=before.keywords if keywords is None else keywords,
            deleted_in=tuple(sorted(folders.keys() & set(marked))),
        )
        if after == before:
            self.unchanged += 1
            return
        self._add(before, msgspec.structs.replace(after, changed_seq=self.seq), "updated", None)

    def destroy(self, before: Message) -> None:
        """Destroy a message. Its tombstone has no folders, keywords, header summary or hops."""
        after = msgspec.structs.replace(
            before,
            places={},
            keywords=(),
            deleted_in=(),
            changed_seq=self.seq,
            head=HeaderSummary(),
            hops=(),
            destroyed=True,
        )
        self._add(before, after, "destroyed", None)

    def bind(self, threads: Mapping[bytes, ThreadId]) -> None:
        """Bind thread keys to threads."""
        self._threads |= threads

    def change_folder(self, change: FolderChange) -> None:
        """Change a folder. A new full name gets a new uidvalidity (RFC 9051 §2.3.1.1)."""
        self._folder_changes.append(change)
        renamed = [change.id] if change.change in ("created", "renamed") else []
        if change.change == "renamed":
            renamed += descendants(self._state, change.id)
        for folder_id in renamed:
            self._uidvalidity = max(self._command.at_ms // 1000, self._uidvalidity + 1)
            self._put_counts(folder_id, uidvalidity=self._uidvalidity)
        self._put_counts(change.id)

    def subscribe(self, names: tuple[str, ...]) -> None:
        """Set the subscribed names that no folder has."""
        self._subscribed_names = names

    def change_settings(self, patch: SettingsPatch) -> None:
        """Change the user's settings by `patch`, which changes at least one of them."""
        self._settings = patch

    def note_submission(self, note: SubmissionNote) -> None:
        """Report the state of a submission."""
        self._submission = note

    def not_found(self, message_id: MessageId) -> None:
        """Record that the command names a message that does not exist."""
        self._not_found.append(message_id)

    def conflict(self, message_id: MessageId) -> None:
        """Record that a message changed after the command's author read it."""
        self._conflicts.append(message_id)

    def refuse(self, message_id: MessageId, why: str) -> None:
        """Record that a message cannot be changed as the command asks."""
        self._refusals[message_id] = why

    def commit(
        self, *, origin_id: CommandId = NO_COMMAND, follow_up: BulkFolderCommand | None = None
    ) -> Commit:
        """The commit of all changes so far."""
        failures = self.failures
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
            not_found=failures.not_found,
            conflicts=failures.conflicts,
            refusals=failures.refusals,
            subscribed_names=self._subscribed_names,
            type_seqs=self._type_seqs(),
            settings=self._settings,
            submission=self._submission,
            origin_id=origin_id,
            follow_up=follow_up,
        )
        after = state_after(self._state, entry, self._usage)
        return Commit(entry=entry, messages=tuple(self._rows), state=after, threads=self._threads)

    def _type_seqs(self) -> TypeSeqs:
        before, kinds = self._state.type_seqs, {change.change for change in self._changes}
        return TypeSeqs(
            messages=self.seq if kinds else before.messages,
            folders=self.seq if self._folders else before.folders,
            threads=self.seq if kinds & {"created", "destroyed"} else before.threads,
            deliveries=self.seq if "created" in kinds else before.deliveries,
            settings=self.seq if self._settings else before.settings,
            submissions=self.seq if self._submission else before.submissions,
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
        places_before = before.places if before else {}
        self._changes.append(
            MessageChange(
                change=change,
                message_id=after.message_id,
                places=after.places,
                keywords=after.keywords,
                thread_id=after.thread_id,
                delivered=delivered,
                deleted_in=after.deleted_in,
                left={
                    id_: uid for id_, uid in places_before.items() if after.places.get(id_) != uid
                },
            )
        )
        names = (*after.places, *after.deleted_in, *after.keywords, *places_before)
        self._size_bytes += _CHANGE_BYTES + sum(map(len, names))
        self._recount(before, after)

    def _recount(self, before: Message | None, after: Message) -> None:
        if before is not None:
            self._count(before, -1)
        self._count(after, 1)
        alive = int(not after.destroyed) - int(before is not None)
        self._usage = Usage(
            self._usage.size_bytes + alive * after.content.size_bytes,
            self._usage.messages + alive,
        )

    def _count(self, row: Message, sign: int) -> None:
        """Add the message to the counts of its folders, or subtract it."""
        unread = int(is_unread(row.keywords))
        for folder_id, uid in row.places.items():
            counts, deleted = self._counts(folder_id), int(folder_id in row.deleted_in)
            self._put_counts(
                folder_id,
                total=counts.total + sign * (1 - deleted),
                unread=counts.unread + sign * unread * (1 - deleted),
                next_uid=max(counts.next_uid, uid + 1),
                size_bytes=counts.size_bytes + sign * row.content.size_bytes,
                deleted=counts.deleted + sign * deleted,
            )

    def _put_counts(self, folder_id: FolderId, **values: int) -> None:
        self._folders[folder_id] = msgspec.structs.replace(
            self._counts(folder_id), modseq=self.seq, **values
        )

    def _counts(self, folder_id: FolderId) -> FolderCounts:
        counts = self._folders.get(folder_id) or self._state.folders.get(folder_id)
        return counts or FolderCounts(folder_id)


def _delivered(row: Message) -> Delivered:
    return Delivered(
        mail_id=row.mail_id,
        content=row.content,
        received_at_ms=row.received_at_ms,
        verdict=row.verdict,
        hops=row.hops,
        draft_id=row.draft_id,
    )
