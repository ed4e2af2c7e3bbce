"""What the change feed tells, by request (api/feed.py) and by push (api/push.py)."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from api.answers import Folder, folder_ids, summary
from schemas.events import FolderChange, MailboxChanged
from schemas.mailbox import Message


class FolderInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the owner's making, after a change."""

    id: str
    name: str
    parent_id: str


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Go on from `state`, told through `seq`; `more` says that the mailbox's last is ahead."""

    changes: list[Change]
    state: str
    seq: int
    latest_seq: int
    more: bool


class Record(msgspec.Struct, frozen=True, kw_only=True):
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
    folders: list[Folder]
    messages: list[Record]
    next_cursor: str | None


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    total: int
    unread: int


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """All that is left to say of a destroyed message."""

    id: str


_SUMMARY_OR_GONE = [
    {"$ref": "#/components/schemas/Summary"},
    {"$ref": "#/components/schemas/Gone"},
]


class FolderFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the owner's making came, changed or went. `state` as in changes."""

    type: str = "folder"
    state: str | None = None
    seq: int
    change: str  # created | renamed | destroyed
    folder: FolderInfo
    folders: list[Counts]


class LiveFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What was missed is told up to `seq`; from here on changes come as they happen."""

    type: str = "live"
    state: str
    seq: int


class ChangeFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One change, as pushed; `folders` are those that its step touched.

    `state` is what the client has seen through now; null while frames of the same step follow.
    """

    type: str = "change"
    state: str | None = None
    seq: int
    change: str  # created | updated | destroyed
    message: Annotated[Any, msgspec.Meta(extra_json_schema={"oneOf": _SUMMARY_OR_GONE})]
    folders: list[Counts]


def record(row: Message) -> Record:
    return Record(
        id=row.message_id,
        folder_ids=folder_ids(row.places),
        keywords=list(row.keywords),
        thread_id=row.thread_id,
        created_seq=row.created_seq,
        changed_seq=row.changed_seq,
    )


def folder_info(told: FolderChange) -> FolderInfo:
    return FolderInfo(id=told.id, name=told.name, parent_id=told.parent_id)


def changes_of(step: MailboxChanged) -> Iterator[Change]:
    """Folders first: messages may lie in one that has just been made."""
    for told in step.folder_changes:
        yield Change(seq=step.seq, change=told.change, folder=folder_info(told))
    for one in step.changes:
        if one.change == "destroyed":
            yield Change(seq=step.seq, change=one.change, message_id=one.message_id)
        else:
            yield Change(
                seq=step.seq,
                change=one.change,
                message_id=one.message_id,
                folder_ids=folder_ids(one.places),
                keywords=list(one.keywords),
                thread_id=one.thread_id,
            )


def frames_of(
    step: MailboxChanged, rows: dict[str, Message], state: str
) -> Iterator[FolderFrame | ChangeFrame]:
    """A frame for each change of a step, `state` with the last: no step is seen through half.

    A row may be newer than the step, never older. A step without changes has no frame: a chunk of
    an order to a folder may meet only messages which are so already.
    """
    frames = list(_frames_of(step, rows))
    yield from frames[:-1]
    for last in frames[-1:]:
        yield msgspec.structs.replace(last, state=state)


def _frames_of(
    step: MailboxChanged, rows: dict[str, Message]
) -> Iterator[FolderFrame | ChangeFrame]:
    touched = [Counts(id=one.id, total=one.total, unread=one.unread) for one in step.folders]
    for told in step.folder_changes:
        yield FolderFrame(
            seq=step.seq, change=told.change, folder=folder_info(told), folders=touched
        )
    for one in step.changes:
        row = None if one.change == "destroyed" else rows.get(one.message_id)
        message = Gone(id=one.message_id) if row is None else summary(row)
        yield ChangeFrame(seq=step.seq, change=one.change, message=message, folders=touched)
