"""Rules of bulk commands: changes of all messages of a folder, in chunks of one commit each.

Chunks keep other commands from waiting long. A chunk changes at most `chunk_max` messages and reads
ten times as many. While messages are left, the chunk journals its follow-up: the same command with
a later start. The follow-up goes to the end of the log, after commands that arrived meanwhile.
"""

from collections.abc import Callable, Sequence

import msgspec

from mail.ids import derived_command_id
from mail.mailbox.command_rules import CommandOutcome
from mail.mailbox.commit_builder import CommitBuilder
from mail.mailbox.folders import exists, has_folders_inside
from schemas.events.mailbox_commands import (
    BulkFolderCommand,
    DeleteFolder,
    EmptyFolder,
    MarkAllRead,
)
from schemas.events.mailbox_events import (
    NOT_FOUND,
    REFUSED,
    UNCHANGED,
    CommandAnswered,
    FolderChange,
    Position,
)
from schemas.ids import FolderId
from schemas.mailbox import FOLDERS, JUNK, SEEN, TRASH, MailboxState, Message

CHUNK_MAX = 200  # messages; about 15 ms of the store's time, while other mailboxes wait
READ_FACTOR = 10  # messages that a chunk may read, for each message that it may change


class CommandChunk:
    """One chunk of a bulk command: `take` the folder's rows by uid until the chunk is done."""

    def __init__(
        self, state: MailboxState, command: BulkFolderCommand, position: Position, *, chunk_max: int
    ) -> None:
        self._command = command
        self._chunk_max = chunk_max
        self._builder = CommitBuilder(state, command, position)
        self._bound_uid = command.bound_uid or _next_uid(state, command.folder_id)
        self._destroys_rest = isinstance(command, DeleteFolder) and command.rest == "destroy"
        self._rows_read = 0
        self._finished = False
        self._change: Callable[[Message], None] = {
            MarkAllRead: self._mark_read,
            EmptyFolder: self._remove_from_folder,
            DeleteFolder: self._remove_from_folder,
        }[type(command)]
        self.after_uid = command.after_uid
        if isinstance(command, DeleteFolder) and not command.chunk:
            self._builder.change_folder(FolderChange(change="destroyed", id=command.folder_id))

    @property
    def is_done(self) -> bool:
        """Whether the folder is finished or a limit of the chunk is reached."""
        full = self._builder.is_full or self._builder.size >= self._chunk_max
        return self._finished or full or self._rows_read >= self._chunk_max * READ_FACTOR

    def take(self, rows: Sequence[Message]) -> None:
        """Apply the command to the next rows after `after_uid`, by uid; no rows: end of folder."""
        self._finished = not rows
        for row in rows:
            if self.is_done:
                return
            uid = row.places[self._command.folder_id]
            if uid >= self._bound_uid:
                self._finished = True
                return
            self._rows_read += 1
            self.after_uid = uid
            self._change(row)

    def outcome(self) -> CommandOutcome:
        """The chunk's commit, with its follow-up unless the folder is finished."""
        if self._finished and self._builder.is_empty:
            return CommandAnswered.to(self._command, UNCHANGED)
        follow_up = None if self._finished else self._follow_up()
        return self._builder.commit(origin_id=self._command.origin_id, follow_up=follow_up)

    def _follow_up(self) -> BulkFolderCommand:
        """The command of the next chunk; its id is derived, so a repeat makes the same command."""
        command = self._command
        origin_id, chunk = command.origin_id or command.command_id, command.chunk + 1
        return msgspec.structs.replace(
            command,
            command_id=derived_command_id(origin_id, "chunk", str(chunk)),
            origin_id=origin_id,
            chunk=chunk,
            after_uid=self.after_uid,
            bound_uid=self._bound_uid,
        )

    def _mark_read(self, row: Message) -> None:
        self._builder.put(row, keywords=tuple(sorted({*row.keywords, SEEN})))

    def _remove_from_folder(self, row: Message) -> None:
        """Keep the message in its other folders; without any, trash or destroy it."""
        folder_id = self._command.folder_id
        other_folders = [id_ for id_ in row.places if id_ != folder_id]
        if other_folders:
            self._builder.put(row, folder_ids=other_folders)
        elif folder_id in (TRASH, JUNK) or self._destroys_rest:
            self._builder.destroy(row)
        else:
            self._builder.put(row, folder_ids=(TRASH,))


def begin(
    state: MailboxState, command: BulkFolderCommand, position: Position, *, chunk_max: int
) -> CommandChunk | CommandAnswered:
    """The chunk to fill, or the answer if the command changes nothing."""
    if not command.chunk:
        if isinstance(command, DeleteFolder) and command.folder_id in FOLDERS:
            return CommandAnswered.to(command, REFUSED, "Standard folders cannot be deleted.")
        if not exists(state, command.folder_id):
            return CommandAnswered.to(command, NOT_FOUND)
        fault = _fault_of(state, command)
        if fault:
            return CommandAnswered.to(command, REFUSED, fault)
    return CommandChunk(state, command, position, chunk_max=chunk_max)


def _fault_of(state: MailboxState, command: BulkFolderCommand) -> str:
    """Why the first chunk must not begin; "" if it may."""
    match command:
        case DeleteFolder():
            counts = state.folders.get(command.folder_id)
            if has_folders_inside(state, command.folder_id):
                return "There are folders inside."
            if command.rest == "refuse" and counts and counts.total + counts.deleted:
                return "There are messages inside."
            # The folder is deleted with all its messages, so a new message cannot stay in it.
            if 0 < command.bound_uid < _next_uid(state, command.folder_id):
                return "A message came into the folder meanwhile: read the folder again."
        case EmptyFolder() if not command.bound_uid and command.folder_id in (TRASH, JUNK):
            return "An older version sent this command without a bound: send it again."
    return ""


def _next_uid(state: MailboxState, folder_id: FolderId) -> int:
    counts = state.folders.get(folder_id)
    return counts.next_uid if counts else 1
