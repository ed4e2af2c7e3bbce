"""Frames that a WebSocket sends: changes of each kind, and the start of live events."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from api.rest.changes import FolderInfo, SubmissionInfo, folder_info, submission_info
from api.rest.responses import message_summary
from api.rest.threads import ThreadSummary, thread_summary
from schemas.conversations import ThreadLists
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import FolderId, MessageId, ThreadId
from schemas.mailbox import NO_THREAD, Message
from schemas.user_settings import SettingsPatch


class CountsFrame(msgspec.Struct, frozen=True, kw_only=True):
    id: FolderId
    total: int
    unread: int


class GoneMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A destroyed message: only its id remains."""

    id: str


_SUMMARY_OR_GONE = [
    {"$ref": "#/components/schemas/MessageSummary"},
    {"$ref": "#/components/schemas/GoneMessage"},
]


class FolderFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a folder or of its settings. `state`: see ChangeFrame."""

    type: str = "folder"
    state: str | None = None
    seq: int
    change: str  # created | renamed | updated | destroyed
    folder: FolderInfo
    folders: list[CountsFrame]


class SettingsFrame(msgspec.Struct, frozen=True, kw_only=True):
    """New values of the settings that changed. `state`: see ChangeFrame."""

    type: str = "settings"
    state: str | None = None
    seq: int
    settings: SettingsPatch


class SubmissionFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a submission. `state`: see ChangeFrame."""

    type: str = "submission"
    state: str | None = None
    seq: int
    submission: SubmissionInfo


class LiveFrame(msgspec.Struct, frozen=True, kw_only=True):
    """All changes through `seq` have been sent; changes that follow are sent as they happen."""

    type: str = "live"
    state: str
    seq: int


class ChangeFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one message; `folders` has the counts of all folders that its step changed.

    `state` is the state that the client has reached; null while frames of the same step follow.
    """

    type: str = "change"
    state: str | None = None
    seq: int
    change: str  # created | updated | destroyed
    message: Annotated[Any, msgspec.Meta(extra_json_schema={"oneOf": _SUMMARY_OR_GONE})]
    folders: list[CountsFrame]


class ThreadRow(msgspec.Struct, frozen=True, kw_only=True):
    """The row of a conversation in the list of a folder; `folder_id` null: of all mail."""

    folder_id: FolderId | None
    thread: ThreadSummary


class ThreadFrame(msgspec.Struct, frozen=True, kw_only=True):
    """The conversation of changed messages, as every list shows it now; other lists do not.

    It may show later changes too, of which frames follow. `state`: see ChangeFrame.
    """

    type: str = "thread"
    state: str | None = None
    seq: int
    id: ThreadId
    lists: list[ThreadRow]


StepFrame = SettingsFrame | SubmissionFrame | FolderFrame | ChangeFrame | ThreadFrame


def frames_of(
    step: MailboxChanged,
    rows: dict[MessageId, Message],
    state: str,
    threads: ThreadLists | None = None,
) -> Iterator[StepFrame]:
    """A frame for each change of `step`; only the last has `state`, as a step is atomic.

    `rows` and `threads` may be newer than the step, never older; with `threads` a frame for each
    conversation follows. A step without changes has no frames: a chunk of a bulk command may find
    only messages that already have the requested state.
    """
    frames = list(_stateless_frames(step, rows))
    if threads is not None:
        frames += [_thread_frame(step, thread_id, threads) for thread_id in threads_of(step)]
    yield from frames[:-1]
    for last in frames[-1:]:
        yield msgspec.structs.replace(last, state=state)


def threads_of(step: MailboxChanged) -> list[ThreadId]:
    """The conversations of the step's messages, each once."""
    thread_ids = dict.fromkeys(change.thread_id for change in step.changes)
    return [thread_id for thread_id in thread_ids if thread_id != NO_THREAD]


def _thread_frame(step: MailboxChanged, thread_id: ThreadId, threads: ThreadLists) -> ThreadFrame:
    lists = threads.lists.get(thread_id, {})
    return ThreadFrame(
        seq=step.seq,
        id=thread_id,
        lists=[
            ThreadRow(folder_id=list_id or None, thread=thread_summary(row, threads.seq))
            for list_id, row in lists.items()
        ],
    )


def _stateless_frames(step: MailboxChanged, rows: dict[MessageId, Message]) -> Iterator[StepFrame]:
    counts = [
        CountsFrame(id=folder.id, total=folder.total, unread=folder.unread)
        for folder in step.folders
    ]
    if step.settings is not None:
        yield SettingsFrame(seq=step.seq, settings=step.settings)
    if step.submission is not None:
        yield SubmissionFrame(seq=step.seq, submission=submission_info(step.submission))
    for folder in step.folder_changes:
        yield FolderFrame(
            seq=step.seq, change=folder.change, folder=folder_info(folder), folders=counts
        )
    for change in step.changes:
        row = None if change.change == "destroyed" else rows.get(change.message_id)
        message = GoneMessage(id=change.message_id) if row is None else message_summary(row)
        yield ChangeFrame(seq=step.seq, change=change.change, message=message, folders=counts)
