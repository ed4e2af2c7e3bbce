"""Journal replay: pure functions that fold journal entries into state, records and rows.

A mailbox is its snapshot, the entries after it, and the contents that they name. The single writer,
the stores' snapshots, rebuilds and the comparisons of the tests all use these functions.
"""

from collections.abc import Mapping

import msgspec

from mail.mailbox.user_settings import stored_after
from schemas.events.mailbox_events import FolderChange, MailboxChanged, MessageChange
from schemas.ids import DomainId, FolderId, MessageId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import (
    FOLDERS,
    NO_THREAD,
    FolderCounts,
    FolderSettings,
    MailboxState,
    Message,
    OwnFolder,
    Usage,
)
from schemas.snapshot import MessageRecord
from schemas.user_settings import StoredSettings


def state_after(state: MailboxState, entry: MailboxChanged, usage: Usage) -> MailboxState:
    """The state after `entry`, which follows `state`; `usage` is the usage after `entry`."""
    own = state.own
    for change in entry.folder_changes:
        if change.id not in FOLDERS:
            own = {**own, change.id: _own_after(own.get(change.id), change)}
    folders = state.folders | {counts.id: counts for counts in entry.folders}
    settings = _settings_after(state.settings, entry)
    removed = {id_ for id_, folder in own.items() if folder.deleting and _is_empty(folders, id_)}
    if removed:
        own = {id_: folder for id_, folder in own.items() if id_ not in removed}
        folders = {id_: counts for id_, counts in folders.items() if id_ not in removed}
    return MailboxState(
        seq=entry.seq,
        epoch=entry.position.epoch,
        partition=entry.position.partition,
        offset=entry.position.offset,
        folders=folders,
        own=own,
        usage=usage,
        settings={id_: value for id_, value in settings.items() if id_ not in removed},
        subscribed_names=(
            state.subscribed_names if entry.subscribed_names is None else entry.subscribed_names
        ),
        last_uidvalidity=max(
            state.last_uidvalidity, *(counts.uidvalidity for counts in entry.folders), 0
        ),
        type_seqs=entry.type_seqs or state.type_seqs,
    )


def records_after(
    entry: MailboxChanged, known: Mapping[MessageId, MessageRecord]
) -> dict[MessageId, MessageRecord]:
    """The records of the entry's messages after it; `known` has their records before it."""
    return {
        change.message_id: record_after(entry.seq, change, known.get(change.message_id))
        for change in entry.changes
    }


def usage_after(
    usage: Usage, entry: MailboxChanged, known: Mapping[MessageId, MessageRecord]
) -> Usage:
    """The usage after `entry`, computed from records: entries of the first version lack it."""
    size_bytes, messages = usage.size_bytes, usage.messages
    for change in entry.changes:
        if change.delivered is not None:
            size_bytes, messages = size_bytes + change.delivered.content.size_bytes, messages + 1
        elif change.change == "destroyed":
            before = known[change.message_id].delivered.content
            size_bytes, messages = size_bytes - before.size_bytes, messages - 1
    return Usage(size_bytes, messages)


def row_of(
    record: MessageRecord, *, user_id: UserId, domain_id: DomainId, head: HeaderSummary
) -> Message:
    """The row of a record and the header summary of its content.

    A tombstone has no header summary and no hops.
    """
    delivered, destroyed = record.delivered, record.destroyed
    return Message(
        message_id=record.message_id,
        user_id=user_id,
        domain_id=domain_id,
        mail_id=delivered.mail_id,
        places=record.places,
        keywords=record.keywords,
        created_seq=record.created_seq,
        changed_seq=record.changed_seq,
        received_at_ms=delivered.received_at_ms,
        content=delivered.content,
        head=HeaderSummary() if destroyed else head,
        verdict=delivered.verdict,
        hops=() if destroyed else delivered.hops,
        thread_id=record.thread_id,
        destroyed=destroyed,
        deleted_in=record.deleted_in,
        draft_id=delivered.draft_id,
    )


class JournalReplay:
    """A mailbox replayed in memory, entry by entry: for rebuilds, checks and tests."""

    def __init__(
        self,
        state: MailboxState,
        records: Mapping[MessageId, MessageRecord],
        settings: StoredSettings | None = None,
    ) -> None:
        self.state = state
        self.records = dict(records)
        self.settings = settings or StoredSettings()

    def add(self, entry: MailboxChanged) -> None:
        """Apply the next entry.

        Raises ValueError: its seq does not follow the last seq, or it changes an unknown message.
        """
        if entry.seq != self.state.seq + 1:
            msg = f"seq {entry.seq} does not follow {self.state.seq}"
            raise ValueError(msg)
        usage = usage_after(self.state.usage, entry, self.records)
        self.state = state_after(self.state, entry, usage)
        self.records |= records_after(entry, self.records)
        self.settings = stored_after(self.settings, entry)


def _settings_after(
    settings: dict[FolderId, FolderSettings], entry: MailboxChanged
) -> dict[FolderId, FolderSettings]:
    changed = {
        change.id: change.settings for change in entry.folder_changes if change.settings is not None
    }
    after = settings | changed
    return {id_: value for id_, value in after.items() if value != FolderSettings()}


def _own_after(before: OwnFolder | None, change: FolderChange) -> OwnFolder:
    if change.change == "destroyed" and before is not None:
        return msgspec.structs.replace(before, deleting=True)
    return OwnFolder(name=change.name, parent_id=change.parent_id)


def _is_empty(folders: Mapping[FolderId, FolderCounts], id_: FolderId) -> bool:
    counts = folders.get(id_) or FolderCounts(id_)
    return not counts.total + counts.deleted


def record_after(seq: int, change: MessageChange, before: MessageRecord | None) -> MessageRecord:
    delivered = change.delivered or (before.delivered if before else None)
    if delivered is None:
        msg = f"seq {seq} changes message {change.message_id}, which no entry created"
        raise ValueError(msg)
    destroyed = change.change == "destroyed"
    if destroyed:
        delivered = msgspec.structs.replace(delivered, hops=())
    return MessageRecord(
        message_id=change.message_id,
        places=change.places,
        keywords=change.keywords,
        deleted_in=change.deleted_in,
        thread_id=change.thread_id or (before.thread_id if before else NO_THREAD),
        created_seq=before.created_seq if before else seq,
        changed_seq=seq,
        delivered=delivered,
        destroyed=destroyed,
    )
