"""Responses of the change feed and of a mailbox snapshot."""

from collections.abc import Iterator

import msgspec

from api.rest.responses import FolderResource, folder_ids
from schemas.events.mailbox_events import FolderChange, MailboxChanged
from schemas.mailbox import Message


class FolderInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the owner's making, after a change."""

    id: str
    name: str
    parent_id: str


class ChangeResource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one message, or of one `folder` of the owner's making.

    All changes of one step have its `seq`. Of a destroyed message only the id is left.
    """

    seq: int
    change: str  # created | updated | destroyed; of folders: created | renamed | destroyed
    message_id: str | None = None
    folder_ids: list[str] | None = None
    keywords: list[str] | None = None
    thread_id: str | None = None
    folder: FolderInfo | None = None


class ChangesPage(msgspec.Struct, frozen=True, kw_only=True):
    """Go on from `state`, told through `seq`; `more` says that the mailbox's last is ahead."""

    changes: list[ChangeResource]
    state: str
    seq: int
    latest_seq: int
    more: bool


class SnapshotRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A message as far as changes tell of it."""

    id: str
    folder_ids: list[str]
    keywords: list[str]
    thread_id: str
    created_seq: int
    changed_seq: int


class SnapshotPage(msgspec.Struct, frozen=True, kw_only=True):
    """Messages by id; the folders come with the first page. When done: changes since `state`."""

    state: str
    seq: int
    folders: list[FolderResource]
    messages: list[SnapshotRecord]
    next_cursor: str | None


def record(row: Message) -> SnapshotRecord:
    return SnapshotRecord(
        id=row.message_id,
        folder_ids=folder_ids(row.places),
        keywords=list(row.keywords),
        thread_id=row.thread_id,
        created_seq=row.created_seq,
        changed_seq=row.changed_seq,
    )


def folder_info(told: FolderChange) -> FolderInfo:
    return FolderInfo(id=told.id, name=told.name, parent_id=told.parent_id)


def changes_of(step: MailboxChanged) -> Iterator[ChangeResource]:
    """Folders first: messages may lie in one that has just been made."""
    for told in step.folder_changes:
        yield ChangeResource(seq=step.seq, change=told.change, folder=folder_info(told))
    for one in step.changes:
        if one.change == "destroyed":
            yield ChangeResource(seq=step.seq, change=one.change, message_id=one.message_id)
        else:
            yield ChangeResource(
                seq=step.seq,
                change=one.change,
                message_id=one.message_id,
                folder_ids=folder_ids(one.places),
                keywords=list(one.keywords),
                thread_id=one.thread_id,
            )
