"""What commands do to a mailbox: pure functions of the command and of the state before it.

No clock, no random, no id is made here, so that two owners of a partition, or the same one after a
crash, compute the same and the journal can tell a repeat from a conflict. Orders to whole folders
are in mail/mailbox/bulk_commands.py.
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
    Command,
    CreateFolder,
    Deliver,
    DestroyMessages,
    MessageCommand,
    TrashMessages,
)
from schemas.events.mailbox_events import CommandAnswered, FolderChange, Position
from schemas.mailbox import FOLDERS, INBOX, JUNK, TRASH, MailboxState, Message, OwnFolder

UNCHANGED = "unchanged"
NOT_FOUND = "not_found"
REFUSED = "refused"
REBUILT = "rebuilt"
CONFLICT = "conflict"
CHANGED_MEANWHILE = "It was changed meanwhile."
PLACES_MAX = 50  # folders in which one message can lie

CommandOutcome = Commit | CommandAnswered


def answered(
    command: Command, outcome: str, detail: str = "", not_found: tuple[str, ...] = ()
) -> CommandAnswered:
    """That the command changed nothing, and why."""
    return CommandAnswered(
        user_id=command.user_id,
        domain_id=command.domain_id,
        command_id=command.command_id,
        outcome=outcome,
        detail=detail,
        not_found=not_found,
        origin_id=getattr(command, "origin_id", ""),
    )


def was_applied(state: MailboxState, positions: Iterable[Position]) -> bool:
    """Whether the command at `positions` came before the last one that changed the mailbox.

    A command that was put back after a restore has a position in each log. Positions of another
    epoch or partition say nothing: then only ids tell.
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
    bound: Mapping[bytes, str],
) -> Commit:
    """A new message in one folder, the inbox when that is gone. Poison: no such keyword.

    `keys` tie it to others (mail/mailbox/threads.py); `bound` are those that have a thread already.
    """
    keywords = normal_keywords(command.keywords)
    if keywords is None or len(keywords) > KEYWORDS_MAX:
        raise Poison(f"command {command.command_id} has a keyword that is none, or too many")
    draft = CommitBuilder(state, command, position)
    thread_id = thread_for(command.message_id, keys, bound)
    row = _new_message(command, draft.seq, tuple(sorted(keywords)), thread_id)
    folder_id = command.folder_id if exists(state, command.folder_id) else INBOX
    draft.create(command, row, folder_id)
    return draft.commit(threads=bindings(thread_id, keys, bound))


def change_messages(
    state: MailboxState,
    rows: Mapping[str, Message],
    command: ChangeMessages,
    position: Position,
) -> CommandOutcome:
    """Keywords and folders of many; or why nothing changes. `rows` may have tombstones."""
    add, remove = normal_keywords(command.add_keywords), normal_keywords(command.remove_keywords)
    if add is None or remove is None:
        return answered(command, REFUSED, "A keyword is not one (RFC 8621 §4.1.1).")
    named = {*(command.set_folder_ids or ()), *command.add_folder_ids}
    if not all(exists(state, id_) for id_ in named):
        return answered(command, REFUSED, "There is no such folder.")
    chosen = _chosen(rows, command)
    if isinstance(chosen, CommandAnswered):
        return chosen
    draft = CommitBuilder(state, command, position)
    for row in chosen:
        keywords = tuple(sorted((frozenset(row.keywords) - remove) | add))
        folder_ids = _folders_after(row, command)
        fault = _fault_of(keywords, folder_ids) or _fault_of_size(draft)
        if fault:
            return answered(command, REFUSED, fault)
        draft.put(row, folder_ids=folder_ids, keywords=keywords)
    return _settled(draft, command, chosen)


def fault_in(row: Message, command: ChangeMessages) -> str:
    """Why this message refuses a change whose keywords and folders are right; "" when it does not.

    A command is refused whole: so is found out for which of its messages.
    """
    kept = frozenset(row.keywords) - (normal_keywords(command.remove_keywords) or frozenset())
    added = normal_keywords(command.add_keywords) or frozenset()
    return _fault_of(kept | added, _folders_after(row, command))


def is_discarded(row: Message) -> bool:
    """Whether the message lies in trash or junk and nowhere else: from there it is destroyed."""
    return bool(row.places) and row.places.keys() <= {TRASH, JUNK}


def trash_messages(
    state: MailboxState,
    rows: Mapping[str, Message],
    command: TrashMessages,
    position: Position,
) -> CommandOutcome:
    """Move to the trash; what lies only there stays as it is. `rows` may have tombstones."""
    chosen = _chosen(rows, command)
    if isinstance(chosen, CommandAnswered):
        return chosen
    draft = CommitBuilder(state, command, position)
    for row in chosen:
        draft.put(row, folder_ids=(TRASH,))
    return _settled(draft, command, chosen)


def destroy_messages(
    state: MailboxState,
    rows: Mapping[str, Message],
    command: DestroyMessages,
    position: Position,
) -> CommandOutcome:
    """Destroy what is as the author saw it; `conflict` when nothing is. `rows`: with tombstones."""
    chosen = _chosen(rows, command)
    if isinstance(chosen, CommandAnswered):
        return chosen
    draft = CommitBuilder(state, command, position)
    for row in chosen:
        if row.changed_seq <= command.unchanged_since_seq and is_discarded(row):
            draft.destroy(row)
    not_found = _not_found(command, chosen)
    if draft.is_empty:
        return answered(command, CONFLICT, CHANGED_MEANWHILE, not_found)
    return draft.commit(not_found=not_found)


def create_folder(state: MailboxState, command: CreateFolder, position: Position) -> CommandOutcome:
    name = normal_name(command.name)
    if command.folder_id in state.own or command.folder_id in FOLDERS or not command.folder_id:
        return answered(command, REFUSED, "There is a folder of this id already.")
    if name is None:
        return answered(command, REFUSED, "This cannot be a folder's name.")
    wanted = OwnFolder(name=name, parent_id=command.parent_id)
    return _folder(state, command, position, wanted, "created")


def change_folder(state: MailboxState, command: ChangeFolder, position: Position) -> CommandOutcome:
    before = state.own.get(command.folder_id)
    if command.folder_id in FOLDERS:
        return answered(command, REFUSED, "Standard folders stay as they are.")
    if before is None or before.deleting:
        return answered(command, NOT_FOUND)
    name = before.name if command.name is None else normal_name(command.name)
    if name is None:
        return answered(command, REFUSED, "This cannot be a folder's name.")
    parent_id = before.parent_id if command.parent_id is None else command.parent_id
    wanted = OwnFolder(name=name, parent_id=parent_id)
    if wanted == before:
        return answered(command, UNCHANGED)
    return _folder(state, command, position, wanted, "renamed")


def _folder(
    state: MailboxState,
    command: CreateFolder | ChangeFolder,
    position: Position,
    wanted: OwnFolder,
    change: str,
) -> CommandOutcome:
    fault = fault_of(state, command.folder_id, wanted)
    if fault:
        return answered(command, REFUSED, fault)
    draft = CommitBuilder(state, command, position)
    draft.tell(
        FolderChange(
            change=change, id=command.folder_id, name=wanted.name, parent_id=wanted.parent_id
        )
    )
    return draft.commit()


def _chosen(
    rows: Mapping[str, Message], command: MessageCommand
) -> Sequence[Message] | CommandAnswered:
    """The command's messages that are there, each once; or why nothing can change."""
    if len(command.message_ids) > CHANGES_MAX:
        return answered(command, REFUSED, f"At most {CHANGES_MAX} messages at once.")
    found = [rows[id_] for id_ in dict.fromkeys(command.message_ids) if id_ in rows]
    alive = [row for row in found if not row.destroyed]
    if not alive:
        return answered(command, NOT_FOUND, "", command.message_ids)
    wanted = None if isinstance(command, DestroyMessages) else command.if_changed_seq
    if wanted is not None and any(row.changed_seq != wanted for row in alive):
        return answered(command, CONFLICT, CHANGED_MEANWHILE)
    return alive


def _folders_after(row: Message, command: ChangeMessages) -> tuple[str, ...]:
    kept = row.places if command.set_folder_ids is None else command.set_folder_ids
    removed = frozenset(command.remove_folder_ids)
    return tuple(
        dict.fromkeys((*(id_ for id_ in kept if id_ not in removed), *command.add_folder_ids))
    )


def _fault_of(keywords: Collection[str], folder_ids: Sequence[str]) -> str:
    if not folder_ids:
        return "A message always lies in at least one folder."
    if len(folder_ids) > PLACES_MAX:
        return f"A message can lie in {PLACES_MAX} folders."
    if len(keywords) > KEYWORDS_MAX:
        return "The message has as many keywords as it can have."
    return ""


def _fault_of_size(draft: CommitBuilder) -> str:
    return "This is too much for one order: give fewer messages." if draft.is_full else ""


def _settled(
    draft: CommitBuilder, command: ChangeMessages | TrashMessages, chosen: Sequence[Message]
) -> CommandOutcome:
    not_found = _not_found(command, chosen)
    if draft.is_empty:
        return answered(command, UNCHANGED, "", not_found)
    return draft.commit(not_found=not_found)


def _not_found(command: MessageCommand, chosen: Sequence[Message]) -> tuple[str, ...]:
    there = {row.message_id for row in chosen}
    return tuple(id_ for id_ in dict.fromkeys(command.message_ids) if id_ not in there)


def _new_message(command: Deliver, seq: int, keywords: tuple[str, ...], thread_id: str) -> Message:
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
