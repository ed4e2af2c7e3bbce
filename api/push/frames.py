"""Frames that a WebSocket sends: live changes, folders, and the steps of the journal."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from api.rest.changes_responses import FolderInfo, folder_info
from api.rest.responses import summary
from schemas.events.mailbox_events import MailboxChanged
from schemas.mailbox import Message


class CountsFrame(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    total: int
    unread: int


class GoneMessage(msgspec.Struct, frozen=True, kw_only=True):
    """All that is left to say of a destroyed message."""

    id: str


_SUMMARY_OR_GONE = [
    {"$ref": "#/components/schemas/MessageSummary"},
    {"$ref": "#/components/schemas/GoneMessage"},
]


class FolderFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the owner's making came, changed or went. `state` as in changes."""

    type: str = "folder"
    state: str | None = None
    seq: int
    change: str  # created | renamed | destroyed
    folder: FolderInfo
    folders: list[CountsFrame]


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
    folders: list[CountsFrame]


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
    touched = [CountsFrame(id=one.id, total=one.total, unread=one.unread) for one in step.folders]
    for told in step.folder_changes:
        yield FolderFrame(
            seq=step.seq, change=told.change, folder=folder_info(told), folders=touched
        )
    for one in step.changes:
        row = None if one.change == "destroyed" else rows.get(one.message_id)
        message = GoneMessage(id=one.message_id) if row is None else summary(row)
        yield ChangeFrame(seq=step.seq, change=one.change, message=message, folders=touched)
