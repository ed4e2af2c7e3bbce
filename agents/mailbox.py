"""mailbox: the single writer of every mailbox.

Reads mailbox.commands, strictly in order per user.
Writes journal, views and state by one MailStore.commit per command. After a commit that destroyed
messages it releases their contents. After the outputs are published it sets the state table.
Emits mailbox.changed, and with it to mailbox.commands the next chunk of a bulk command and the
folding of the journal when they are due. Emits mailbox.answered for a command without changes.

Store unreachable: Transient, the partition holds.
A deliver command with an invalid keyword: Poison, before the journal is written.
JournalConflict: Fatal, a second writer is or was at work.
Any other error: the mailbox is rebuilt and the command tried again; if that fails too, the user is
set aside (agents/mailbox_failures.py).
Any error after the journal is written: the event is tried again without limit, and never parked.

Safe to repeat: the table entry is in doubt from the start of an attempt until its outputs are
published, so the next attempt, or the next owner of the partition, reads the store first. A command
that the store knows by position, command id or message id changes nothing; its outputs are
published again.
"""

from collections.abc import Iterable, Sequence

from agents.background.journal_folding import fold, fold_after
from agents.mailbox_failures import (
    CommitFailed,
    MailboxSetAside,
    StateBehind,
    apply_with_recovery,
    end_suspension,
)
from agents.mailbox_rebuild import rebuild
from agents.ports import MailboxPorts
from mail.errors import JournalConflict, JournalTruncated, PostriverError
from mail.ids import holder_of
from mail.mailbox import (
    bulk_commands,
    delivery_rules,
    folder_rules,
    message_rules,
    settings_rules,
    submission_notes,
)
from mail.mailbox.command_rules import CHANGED_MEANWHILE, CommandOutcome, was_applied
from mail.mailbox.commit_builder import CHANGES_MAX
from mail.mailbox.threads import thread_keys
from mail.ports import Attempt, Commit
from schemas.events.mailbox_commands import (
    Batch,
    BulkFolderCommand,
    ChangeFolder,
    ChangeSettings,
    ChangeSubscriptions,
    Command,
    CreateFolder,
    DeleteFolder,
    Deliver,
    EmptyFolder,
    FolderSettingsCommand,
    FoldJournal,
    MarkAllRead,
    MessageCommand,
    NoteSubmission,
    RebuildViews,
    SequencedCommand,
)
from schemas.events.mailbox_events import (
    CONFLICT,
    NOT_FOUND,
    UNCHANGED,
    CommandAnswered,
    MailboxChanged,
    Position,
)
from schemas.events.unions import Event
from schemas.ids import UserId
from schemas.mailbox import MailboxState, Message

RecordedOutcome = MailboxChanged | CommandAnswered | BulkFolderCommand  # is published as it is


class RowNewerThanState(Exception):
    """The store has a row that was changed after the state at hand."""


async def mailbox(event: Command, work: Attempt, ports: MailboxPorts) -> Sequence[Event]:
    """Apply one command; return the events to publish."""
    match event:
        case RebuildViews():
            return await end_suspension(await rebuild(event, work, ports), ports)
        case FoldJournal():
            return await fold(event, work, ports)
    state, outcome = await apply_with_recovery(event, ports, lambda: _apply(event, work, ports))
    if isinstance(outcome, MailboxChanged):
        work.committed()
        await _release_destroyed(outcome, ports)
    work.after_publish(lambda: ports.states.set(event.user_id, state))
    return outputs_of(outcome)


def outputs_of(outcome: RecordedOutcome) -> tuple[Event, ...]:
    """The event, then the commands that follow from it; the same at every publication."""
    if not isinstance(outcome, MailboxChanged):
        return (outcome,)
    follow_up = (outcome.follow_up,) if outcome.follow_up else ()
    return (outcome, *follow_up, *fold_after(outcome))


async def _apply(
    event: SequencedCommand, work: Attempt, ports: MailboxPorts
) -> tuple[MailboxState, RecordedOutcome]:
    """The state after the command and what to publish; a change is in the journal.

    Raises MailboxSetAside: the user is set aside. CommitFailed: the commit was not written.
    StateBehind: the store has newer rows or entries than its own state.
    """
    state = await proven_state(event.user_id, ports)
    positions = (*work.origins, work.position)
    while (outcome := await _resolve(event, state, positions, ports)) is None:
        before, state = state, await ports.store.load(event.user_id)
        if state.seq <= before.seq:
            raise StateBehind(f"user {event.user_id} at seq {state.seq}")
    if isinstance(outcome, Commit):
        return await _commit(outcome, state, ports), outcome.entry
    return state, outcome


async def proven_state(user_id: UserId, ports: MailboxPorts) -> MailboxState:
    """The table's state if it is proven, else the store's; the table entry is in doubt from now on.

    Raises MailboxSetAside: the user is set aside. Such a user has no proven state.
    """
    state = ports.states.get(user_id)
    ports.states.doubt(user_id)
    if state is not None:
        return state
    why = await ports.suspended.reason(user_id)
    if why is not None:
        raise MailboxSetAside(user_id, why)
    return await ports.store.load(user_id)


async def _resolve(
    event: SequencedCommand, state: MailboxState, positions: Sequence[Position], ports: MailboxPorts
) -> Commit | RecordedOutcome | None:
    """What to commit, answer or publish again; None if the store is ahead of `state`.

    The store is ahead while another owner of the partition is still at work. With rows newer than
    the state this owner would answer `unchanged` to a command that the other owner has just
    applied, and could publish seq 3 before seq 2.

    Of several positions the oldest is journalled. While commands are restored from a backup, the
    state thus counts on in the old log, and recognises the commands if they are restored once more.
    """
    try:
        previous = await _previous_outcome(event, state, positions, ports)
        outcome = previous or await _decide(event, state, positions[0], ports)
    except RowNewerThanState:
        return None
    if isinstance(outcome, MailboxChanged) and outcome.seq > state.seq:
        return None
    if isinstance(outcome, CommandAnswered) and await _store_is_ahead(state, event.user_id, ports):
        return None
    return outcome


async def _store_is_ahead(state: MailboxState, user_id: UserId, ports: MailboxPorts) -> bool:
    """Whether the store's state differs from `state`. The journal does not fence an answer."""
    return (await ports.store.load(user_id)).seq != state.seq


async def _previous_outcome(
    event: SequencedCommand, state: MailboxState, positions: Sequence[Position], ports: MailboxPorts
) -> RecordedOutcome | None:
    """The outcome of an earlier application of this command; None for a new command.

    A chunk whose entry is folded has only its follow-up left, which continues the bulk command.

    A new `deliver` is recognised by its message id alone, which `_decide` looks up anyway: a
    position must never suppress a mail, even if the log came back shorter than the store.
    """
    applied = was_applied(state, positions)
    if isinstance(event, Deliver) and not applied:
        return None
    try:
        entry = await ports.store.by_command(event.user_id, event.command_id)
    except JournalTruncated as truncated:
        return truncated.follow_up or CommandAnswered.to(event, UNCHANGED)
    if entry is None and applied and not isinstance(event, Deliver):
        return await _repeated_answer(event, ports)
    return entry


async def _repeated_answer(event: SequencedCommand, ports: MailboxPorts) -> CommandAnswered:
    """The answer to a command that changed nothing the first time.

    Later commands have been applied since, so this command must not change anything now.
    """
    if isinstance(event, MessageCommand):
        messages = await ports.store.messages(event.user_id, event.message_ids)
        return CommandAnswered.to(event, UNCHANGED if messages else NOT_FOUND)
    if isinstance(event, Batch | ChangeSettings):  # its author reads again, and loses nothing
        return CommandAnswered.to(event, CONFLICT, CHANGED_MEANWHILE)
    return CommandAnswered.to(event, UNCHANGED)


async def _decide(
    event: SequencedCommand, state: MailboxState, position: Position, ports: MailboxPorts
) -> CommandOutcome | MailboxChanged:
    """The outcome of a new command by the rules.

    Raises RowNewerThanState: the store is ahead of `state`. Poison: an invalid keyword.
    """
    match event:
        case Deliver():
            return await _decide_delivery(event, state, position, ports)
        case Batch():
            return await _decide_batch(event, state, position, ports)
        case CreateFolder() | ChangeFolder() | ChangeSubscriptions() | NoteSubmission():
            return _decide_by_state(event, state, position)
        case ChangeSettings():
            return await _decide_settings(event, state, position, ports)
        case DeleteFolder() | EmptyFolder() | MarkAllRead():
            return await _decide_chunk(event, state, position, ports)
        case _:
            return await _decide_on_messages(event, state, position, ports)


def _decide_by_state(
    event: FolderSettingsCommand | NoteSubmission, state: MailboxState, position: Position
) -> CommandOutcome:
    """The outcome of a command that depends on no message."""
    if isinstance(event, NoteSubmission):
        return submission_notes.decide(state, event, position)
    return folder_rules.decide(state, event, position)


async def _decide_delivery(
    event: Deliver, state: MailboxState, position: Position, ports: MailboxPorts
) -> CommandOutcome | MailboxChanged:
    keys = thread_keys(event.head)
    rows, bound = await ports.store.rows_and_threads(event.user_id, [event.message_id], keys)
    row = rows.get(event.message_id)
    if row is None:
        return delivery_rules.deliver(state, event, position, keys, bound)
    _check_rows([row], state)
    if row.destroyed:  # `route` holds the content again
        await _release_contents([row], ports)
    return await _previous_delivery(event, ports)


async def _previous_delivery(
    event: Deliver, ports: MailboxPorts
) -> MailboxChanged | CommandAnswered:
    """The journalled step if this command delivered the message; `unchanged` if another did."""
    try:
        entry = await ports.store.by_command(event.user_id, event.command_id)
    except JournalTruncated:
        entry = None
    return entry or CommandAnswered.to(event, UNCHANGED)


async def _decide_on_messages(
    event: MessageCommand, state: MailboxState, position: Position, ports: MailboxPorts
) -> CommandOutcome:
    rows = await ports.store.rows(event.user_id, event.message_ids[: CHANGES_MAX + 1])
    _check_rows(rows.values(), state)
    return message_rules.change_messages(state, rows, event, position)


async def _decide_batch(
    event: Batch, state: MailboxState, position: Position, ports: MailboxPorts
) -> CommandOutcome:
    ids = [message_id for part in event.parts for message_id in delivery_rules.ids_of(part)]
    rows, bound = await ports.store.rows_and_threads(
        event.user_id, ids[: CHANGES_MAX + 1], delivery_rules.keys_of(event)
    )
    _check_rows(rows.values(), state)
    delivered = {part.message_id for part in event.parts if isinstance(part, Deliver)}
    destroyed = [row for id_, row in rows.items() if row.destroyed and id_ in delivered]
    await _release_contents(destroyed, ports)  # their sender holds them again
    return delivery_rules.batch(state, rows, bound, event, position)


async def _decide_settings(
    event: ChangeSettings, state: MailboxState, position: Position, ports: MailboxPorts
) -> CommandOutcome:
    stored = await ports.store.settings(event.user_id)
    if stored.changed_seq > state.seq:
        raise RowNewerThanState
    return settings_rules.change_settings(state, stored, event, position)


async def _decide_chunk(
    event: BulkFolderCommand, state: MailboxState, position: Position, ports: MailboxPorts
) -> CommandOutcome:
    chunk = bulk_commands.begin(state, event, position, chunk_max=ports.chunk_max)
    if isinstance(chunk, CommandAnswered):
        return chunk
    while not chunk.is_done:
        rows = await ports.store.by_uid(
            event.user_id, event.folder_id, after_uid=chunk.after_uid, limit=ports.chunk_max
        )
        _check_rows(rows, state)
        chunk.take(rows)
    return chunk.outcome()


def _check_rows(rows: Iterable[Message], state: MailboxState) -> None:
    """Raises RowNewerThanState: a row was changed after `state`."""
    if any(row.changed_seq > state.seq for row in rows):
        raise RowNewerThanState


async def _commit(commit: Commit, before: MailboxState, ports: MailboxPorts) -> MailboxState:
    """Write the commit; return the state after it.

    Raises JournalConflict: a second writer is or was at work. If the store is still at `before`,
    no other writer is: state and journal of this mailbox differ, and CommitFailed is raised.
    Raises CommitFailed: also for an unexpected error, if the journal does not have the entry.
    """
    user_id = commit.entry.user_id
    failed = CommitFailed(f"commit of user {user_id} seq {commit.entry.seq}")
    try:
        await ports.store.commit(commit)
    except JournalConflict as error:
        if (await ports.store.load(user_id)).seq != before.seq:
            raise
        raise failed from error
    except PostriverError:
        raise
    except Exception as error:
        if await ports.store.by_command(user_id, commit.entry.command_id) != commit.entry:
            raise failed from error
        return await ports.store.load(user_id)
    return commit.state


async def _release_destroyed(entry: MailboxChanged, ports: MailboxPorts) -> None:
    """Release the contents of the messages that the step destroyed."""
    ids = [change.message_id for change in entry.changes if change.change == "destroyed"]
    if ids:
        rows = await ports.store.rows(entry.user_id, ids)
        await _release_contents(rows.values(), ports)


async def _release_contents(rows: Iterable[Message], ports: MailboxPorts) -> None:
    """Remove the messages' holders from their contents; a repeat after a crash changes nothing."""
    await ports.holders.release_all(
        (row.mail_id, holder_of(row.mail_id, row.user_id, row.message_id)) for row in rows
    )
