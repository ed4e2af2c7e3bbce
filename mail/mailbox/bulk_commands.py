"""Orders to all messages of a folder: in chunks, each a commit, so that nobody waits for long.

A chunk changes at most `chunk_max` messages and looks at ten times as many. While messages are
left it journals its follow-up, the same order further on, which goes back into the log behind what
others have ordered meanwhile.
"""

from collections.abc import Callable, Sequence

import msgspec

from mail.ids import derived_id
from mail.mailbox.command_rules import NOT_FOUND, REFUSED, UNCHANGED, CommandOutcome, answered
from mail.mailbox.commit_builder import CommitBuilder
from mail.mailbox.folders import exists, has_folders_inside
from schemas.events.mailbox_commands import (
    BulkFolderCommand,
    DeleteFolder,
    EmptyFolder,
    MarkAllRead,
)
from schemas.events.mailbox_events import CommandAnswered, FolderChange, Position
from schemas.mailbox import FOLDERS, JUNK, SEEN, TRASH, MailboxState, Message

CHUNK_MAX = 200  # about 15 ms of the store's time, for which other mailboxes wait
LOOK_FACTOR = 10  # messages that a chunk looks at, for each that it may change


class CommandChunk:
    """One chunk in the making: `take` the folder's rows by uid until it is done."""

    def __init__(
        self, state: MailboxState, order: BulkFolderCommand, position: Position, *, chunk_max: int
    ) -> None:
        self._order = order
        self._chunk_max = chunk_max
        self._draft = CommitBuilder(state, order, position)
        self._bound_uid = order.bound_uid or _next_uid(state, order.folder_id)
        self._looked = 0
        self._finished = False
        self._change: Callable[[Message], None] = {
            MarkAllRead: self._mark_read,
            EmptyFolder: self._take_out,
            DeleteFolder: self._take_out,
        }[type(order)]
        self.after_uid = order.after_uid
        if isinstance(order, DeleteFolder) and not order.chunk:
            self._draft.tell(FolderChange(change="destroyed", id=order.folder_id))

    @property
    def is_done(self) -> bool:
        full = self._draft.is_full or self._draft.size >= self._chunk_max
        return self._finished or full or self._looked >= self._chunk_max * LOOK_FACTOR

    def take(self, rows: Sequence[Message]) -> None:
        """The next rows after `after_uid`, by uid; none: the folder is at its end."""
        self._finished = not rows
        for row in rows:
            if self.is_done:
                return
            uid = row.places[self._order.folder_id]
            if uid >= self._bound_uid:
                self._finished = True
                return
            self._looked += 1
            self.after_uid = uid
            self._change(row)

    def outcome(self) -> CommandOutcome:
        if self._finished and self._draft.is_empty:
            return answered(self._order, UNCHANGED)
        origin_id = self._order.origin_id
        follow_up = None if self._finished else self._follow_up()
        return self._draft.commit(origin_id=origin_id, follow_up=follow_up)

    def _follow_up(self) -> BulkFolderCommand:
        order = self._order
        origin_id, chunk = order.origin_id or order.command_id, order.chunk + 1
        return msgspec.structs.replace(
            order,
            command_id=derived_id(origin_id, "chunk", str(chunk)),
            origin_id=origin_id,
            chunk=chunk,
            after_uid=self.after_uid,
            bound_uid=self._bound_uid,
        )

    def _mark_read(self, row: Message) -> None:
        self._draft.put(row, keywords=tuple(sorted({*row.keywords, SEEN})))

    def _take_out(self, row: Message) -> None:
        folder_id = self._order.folder_id
        elsewhere = [id_ for id_ in row.places if id_ != folder_id]
        if elsewhere:
            self._draft.put(row, folder_ids=elsewhere)
        elif folder_id in (TRASH, JUNK):
            self._draft.destroy(row)
        else:
            self._draft.put(row, folder_ids=(TRASH,))


def begin(
    state: MailboxState, order: BulkFolderCommand, position: Position, *, chunk_max: int
) -> CommandChunk | CommandAnswered:
    """The chunk to fill; or why nothing changes."""
    if not order.chunk:
        if isinstance(order, DeleteFolder) and order.folder_id in FOLDERS:
            return answered(order, REFUSED, "Standard folders stay.")
        if not exists(state, order.folder_id):
            return answered(order, NOT_FOUND)
        fault = _fault_of(state, order)
        if fault:
            return answered(order, REFUSED, fault)
    return CommandChunk(state, order, position, chunk_max=chunk_max)


def _fault_of(state: MailboxState, order: BulkFolderCommand) -> str:
    """Why the first chunk must not begin; "" when it may."""
    match order:
        case DeleteFolder():
            if has_folders_inside(state, order.folder_id):
                return "There are folders inside."
            # The folder goes with all that is in it, so nothing can be left alone there.
            if 0 < order.bound_uid < _next_uid(state, order.folder_id):
                return "A message came into the folder meanwhile: look at it again."
        case EmptyFolder() if not order.bound_uid and order.folder_id in (TRASH, JUNK):
            return "An older version gave this order, without what its author saw: give it again."
    return ""


def _next_uid(state: MailboxState, folder_id: str) -> int:
    counts = state.folders.get(folder_id)
    return counts.next_uid if counts else 1
