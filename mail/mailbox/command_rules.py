"""Rules of the mailbox commands: pure functions of a command and the mailbox before it.

A rule returns the commit to write, or the answer to a command that changes nothing. No rule reads
a clock, draws a random number or makes an id. Two owners of a partition, or one owner before and
after a crash, therefore compute the same commit. So the journal can distinguish a repeat from a
conflict.
Commands on whole folders are in mail/mailbox/bulk_commands.py.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from mail.errors import Poison
from mail.mailbox.commit_builder import CHANGES_MAX, CommitBuilder
from mail.mailbox.folders import exists, fault_of, normal_name
from mail.mailbox.keywords import KEYWORDS_MAX, normal_keywords
from mail.mailbox.threads import bindings, thread_for
from mail.ports import Commit
from schemas.events.mailbox_commands import (
    ChangeFolder,
    ChangeMessages,
    CreateFolder,
    Deliver,
    DestroyMessages,
    MessageCommand,
    TrashMessages,
)
from schemas.events.mailbox_events import (
    CONFLICT,
    NOT_FOUND,
    REFUSED,
    UNCHANGED,
    CommandAnswered,
    FolderChange,
    FolderChangeKind,
    Position,
)
from schemas.ids import FolderId, MessageId, ThreadId
from schemas.mailbox import FOLDERS, INBOX, JUNK, TRASH, MailboxState, Message, OwnFolder

CHANGED_MEANWHILE = "It was changed meanwhile."
PLACES_MAX = 50  # folders of one message

CommandOutcome = Commit | CommandAnswered


def was_applied(state: MailboxState, positions: Iterable[Position]) -> bool:
    """Whether the command at `positions` precedes the last command that changed the mailbox.

    A command that was restored from a backup has a position in each log. Positions in another
    epoch or partition than the state's prove nothing; there only ids identify a repeat.
    """
    log = (state.epoch, state.partition)
    return any(
        (position.epoch, position.partition) == log and position.offset <= state.offset
        for position in positions
    )


def deliver(
    state: MailboxState,
    command: Deliver,
    position: Position,
    keys: tuple[bytes, ...],
    bound: Mapping[bytes, ThreadId],
) -> Commit:
    """Add a message to its folder, or to the inbox if the folder no longer exists.

    `keys` are the message's thread keys (mail/mailbox/threads.py); `bound` maps those that already
    belong to a thread to its id.
    Raises Poison: a keyword is invalid, or there are more than KEYWORDS_MAX.
    """
    keywords = normal_keywords(command.keywords)
    if keywords is None or len(keywords) > KEYWORDS_MAX:
        raise Poison(f"command {command.command_id} has an invalid keyword or too many keywords")
    builder = CommitBuilder(state, command, position)
    thread_id = thread_for(command.message_id, keys, bound)
    row = _new_message(command, builder.seq, tuple(sorted(keywords)), thread_id)
    folder_id = command.folder_id if exists(state, command.folder_id) else INBOX
    builder.create(command, row, folder_id)
    return builder.commit(threads=bindings(thread_id, keys, bound))


def change_messages(
    state: MailboxState,
    rows: Mapping[MessageId, Message],
    command: ChangeMessages,
    position: Position,
) -> CommandOutcome:
    """Change keywords and folders of all messages, or of no message. `rows` may have tombstones."""
    add, remove = normal_keywords(command.add_keywords), normal_keywords(command.remove_keywords)
    if add is None or remove is None:
        return CommandAnswered.to(command, REFUSED, "A keyword is invalid (RFC 8621 §4.1.1).")
    folder_ids = {*(command.set_folder_ids or ()), *command.add_folder_ids}
    if not all(exists(state, id_) for id_ in folder_ids):
        return CommandAnswered.to(command, REFUSED, "There is no such folder.")
    messages = _select_messages(rows, command)
    if isinstance(messages, CommandAnswered):
        return messages
    builder = CommitBuilder(state, command, position)
    for row in messages:
        keywords = tuple(sorted((frozenset(row.keywords) - remove) | add))
        folders = _folders_after(row, command)
        fault = _fault_of_message(keywords, folders) or _fault_of_size(builder)
        if fault:
            return CommandAnswered.to(command, REFUSED, fault)
        builder.put(row, folder_ids=folders, keywords=keywords)
    return _commit_or_unchanged(builder, command, messages)


def fault_in(row: Message, command: ChangeMessages) -> str:
    """Why `row` cannot be changed by a command whose keywords and folders are valid; "" if it can.

    A command is refused as a whole; this function finds the messages that are the reason.
    """
    kept = frozenset(row.keywords) - (normal_keywords(command.remove_keywords) or frozenset())
    added = normal_keywords(command.add_keywords) or frozenset()
    return _fault_of_message(kept | added, _folders_after(row, command))


def is_discarded(row: Message) -> bool:
    """Whether the message is in trash or junk and in no other folder: only then it is destroyed."""
    return bool(row.places) and row.places.keys() <= {TRASH, JUNK}


def trash_messages(
    state: MailboxState,
    rows: Mapping[MessageId, Message],
    command: TrashMessages,
    position: Position,
) -> CommandOutcome:
    """Move messages to the trash. `rows` may have tombstones."""
    messages = _select_messages(rows, command)
    if isinstance(messages, CommandAnswered):
        return messages
    builder = CommitBuilder(state, command, position)
    for row in messages:
        builder.put(row, folder_ids=(TRASH,))
    return _commit_or_unchanged(builder, command, messages)


def destroy_messages(
    state: MailboxState,
    rows: Mapping[MessageId, Message],
    command: DestroyMessages,
    position: Position,
) -> CommandOutcome:
    """Destroy the discarded messages that have not changed since the author read them.

    `conflict` if there is no such message. `rows` may have tombstones.
    """
    messages = _select_messages(rows, command)
    if isinstance(messages, CommandAnswered):
        return messages
    builder = CommitBuilder(state, command, position)
    for row in messages:
        if row.changed_seq <= command.unchanged_since_seq and is_discarded(row):
            builder.destroy(row)
    not_found = _not_found(command, messages)
    if builder.is_empty:
        return CommandAnswered.to(command, CONFLICT, CHANGED_MEANWHILE, not_found=not_found)
    return builder.commit(not_found=not_found)


def create_folder(state: MailboxState, command: CreateFolder, position: Position) -> CommandOutcome:
    """Create a folder; `refused` if its id or name is taken or invalid, or a limit is reached."""
    name = normal_name(command.name)
    if command.folder_id in state.own or command.folder_id in FOLDERS or not command.folder_id:
        return CommandAnswered.to(command, REFUSED, "There is a folder of this id already.")
    if name is None:
        return CommandAnswered.to(command, REFUSED, "This cannot be a folder's name.")
    folder = OwnFolder(name=name, parent_id=command.parent_id)
    return _put_folder(state, command, position, folder, "created")


def change_folder(state: MailboxState, command: ChangeFolder, position: Position) -> CommandOutcome:
    """Rename or move a folder that the owner created; standard folders are refused."""
    before = state.own.get(command.folder_id)
    if command.folder_id in FOLDERS:
        return CommandAnswered.to(command, REFUSED, "Standard folders cannot be changed.")
    if before is None or before.deleting:
        return CommandAnswered.to(command, NOT_FOUND)
    name = before.name if command.name is None else normal_name(command.name)
    if name is None:
        return CommandAnswered.to(command, REFUSED, "This cannot be a folder's name.")
    parent_id = before.parent_id if command.parent_id is None else command.parent_id
    folder = OwnFolder(name=name, parent_id=parent_id)
    if folder == before:
        return CommandAnswered.to(command, UNCHANGED)
    return _put_folder(state, command, position, folder, "renamed")


def _put_folder(
    state: MailboxState,
    command: CreateFolder | ChangeFolder,
    position: Position,
    folder: OwnFolder,
    change: FolderChangeKind,
) -> CommandOutcome:
    fault = fault_of(state, command.folder_id, folder)
    if fault:
        return CommandAnswered.to(command, REFUSED, fault)
    builder = CommitBuilder(state, command, position)
    builder.change_folder(
        FolderChange(
            change=change, id=command.folder_id, name=folder.name, parent_id=folder.parent_id
        )
    )
    return builder.commit()


def _select_messages(
    rows: Mapping[MessageId, Message], command: MessageCommand
) -> Sequence[Message] | CommandAnswered:
    """The command's messages that exist, each once; or the answer if nothing can change."""
    if len(command.message_ids) > CHANGES_MAX:
        return CommandAnswered.to(command, REFUSED, f"At most {CHANGES_MAX} messages at once.")
    matches = [rows[id_] for id_ in dict.fromkeys(command.message_ids) if id_ in rows]
    messages = [row for row in matches if not row.destroyed]
    if not messages:
        return CommandAnswered.to(command, NOT_FOUND, not_found=command.message_ids)
    required_seq = None if isinstance(command, DestroyMessages) else command.if_changed_seq
    if required_seq is not None and any(row.changed_seq != required_seq for row in messages):
        return CommandAnswered.to(command, CONFLICT, CHANGED_MEANWHILE)
    return messages


def _folders_after(row: Message, command: ChangeMessages) -> tuple[FolderId, ...]:
    """The message's folders after the command: replace, then remove, then add; each folder once."""
    base = row.places if command.set_folder_ids is None else command.set_folder_ids
    removed = frozenset(command.remove_folder_ids)
    return tuple(
        dict.fromkeys((*(id_ for id_ in base if id_ not in removed), *command.add_folder_ids))
    )


def _fault_of_message(keywords: Collection[str], folder_ids: Sequence[FolderId]) -> str:
    """Why a message cannot have these keywords and folders; "" if it can."""
    if not folder_ids:
        return "A message is always in at least one folder."
    if len(folder_ids) > PLACES_MAX:
        return f"A message can be in at most {PLACES_MAX} folders."
    if len(keywords) > KEYWORDS_MAX:
        return "The message has as many keywords as it can have."
    return ""


def _fault_of_size(builder: CommitBuilder) -> str:
    """Why the commit cannot take another change; "" if it can."""
    return "This is too much for one command: give fewer messages." if builder.is_full else ""


def _commit_or_unchanged(
    builder: CommitBuilder, command: ChangeMessages | TrashMessages, messages: Sequence[Message]
) -> CommandOutcome:
    not_found = _not_found(command, messages)
    if builder.is_empty:
        return CommandAnswered.to(command, UNCHANGED, not_found=not_found)
    return builder.commit(not_found=not_found)


def _not_found(command: MessageCommand, messages: Sequence[Message]) -> tuple[MessageId, ...]:
    """The command's message ids that are not among `messages`, each once."""
    existing = {row.message_id for row in messages}
    return tuple(id_ for id_ in dict.fromkeys(command.message_ids) if id_ not in existing)


def _new_message(
    command: Deliver, seq: int, keywords: tuple[str, ...], thread_id: ThreadId
) -> Message:
    """The row of a delivered message; the commit builder sets its places."""
    return Message(
        message_id=command.message_id,
        user_id=command.user_id,
        domain_id=command.domain_id,
        mail_id=command.mail_id,
        places={},
        keywords=keywords,
        created_seq=seq,
        changed_seq=seq,
        received_at_ms=command.received_at_ms,
        content=command.content,
        head=command.head,
        verdict=command.verdict,
        hops=command.hops,
        thread_id=thread_id,
    )
