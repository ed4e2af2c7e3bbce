"""mailbox: the one writer of every mailbox.

Reads mailbox.commands, strictly in order per user. Writes journal, views and state by
MailStore.commit. Emits mailbox.changed, with it the next chunk of an order to a whole folder
(mailbox.commands again); or mailbox.answered when nothing changes. Then sets the unread table.
The store unreachable: Transient, the partition holds. A deliver with a keyword that is none:
Poison, before the journal. JournalConflict: Fatal, a second writer is or was at work.
Anything unforeseen: the mailbox is rebuilt and the command tried again, then the user is set aside
(agents/mailbox_failures.py).
Behind the journal whatever fails is repeated without end.
A message destroyed for good: after journal and views its content is held no more.
Safe to repeat: the table is doubted from the beginning of a try until its outputs are out, so
that the next try or owner reads the store first; a command that the store knows already, by
position, command id or message id, has its outputs published again and changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence

from agents.background.journal_folding import fold, fold_after
from agents.mailbox_failures import CommitFailed, MailboxSetAside, StateBehind, carried_out, lifted
from agents.mailbox_rebuild import rebuild
from agents.ports import MailboxPorts
from mail.errors import JournalConflict, JournalTruncated, PostriverError
from mail.ids import holder_of
from mail.mailbox import bulk_commands
from mail.mailbox import command_rules as rules
from mail.mailbox.command_rules import CommandOutcome
from mail.mailbox.commit_builder import CHANGES_MAX
from mail.mailbox.threads import thread_keys
from mail.ports import Attempt, Commit
from schemas.events.mailbox_commands import (
    BulkFolderCommand,
    ChangeFolder,
    ChangeMessages,
    Command,
    CreateFolder,
    Deliver,
    DestroyMessages,
    FoldJournal,
    MessageCommand,
    RebuildViews,
    SequencedCommand,
    TrashMessages,
)
from schemas.events.mailbox_events import CommandAnswered, MailboxChanged, Position
from schemas.events.unions import Event
from schemas.mailbox import MailboxState, Message


class RowNewerThanState(Exception):
    """A row is newer than the state."""


async def decide(
    event: SequencedCommand, state: MailboxState, position: Position, ports: MailboxPorts
) -> CommandOutcome | MailboxChanged:
    """What the rules say of a command that was not done before. Ahead; Poison."""
    match event:
        case Deliver():
            return await _deliver(event, state, position, ports)
        case ChangeMessages() | TrashMessages() | DestroyMessages():
            rows = await _rows(event, state, ports)
            return _to_messages(event, state, rows, position)
        case CreateFolder():
            return rules.create_folder(state, event, position)
        case ChangeFolder():
            return rules.change_folder(state, event, position)
        case _:
            return await _chunk(event, state, position, ports)


def _to_messages(
    event: MessageCommand, state: MailboxState, rows: Mapping[str, Message], position: Position
) -> CommandOutcome:
    match event:
        case ChangeMessages():
            return rules.change_messages(state, rows, event, position)
        case TrashMessages():
            return rules.trash_messages(state, rows, event, position)
        case DestroyMessages():
            return rules.destroy_messages(state, rows, event, position)


async def _deliver(
    event: Deliver, state: MailboxState, position: Position, ports: MailboxPorts
) -> CommandOutcome | MailboxChanged:
    keys = thread_keys(event.head)
    row, bound = await ports.store.before_delivery(event.user_id, event.message_id, keys)
    if row is not None:
        _check([row], state)
        if row.destroyed:  # `route` has held the content again
            await release([row], ports)
        return await _delivered_before(event, ports)
    return rules.deliver(state, event, position, keys, bound)


async def _delivered_before(
    event: Deliver, ports: MailboxPorts
) -> MailboxChanged | CommandAnswered:
    """The same command again: its output again. Another one for the same message: no change."""
    try:
        entry = await ports.store.by_command(event.user_id, event.command_id)
    except JournalTruncated:
        entry = None
    return entry or rules.answered(event, rules.UNCHANGED)


async def _rows(
    event: MessageCommand, state: MailboxState, ports: MailboxPorts
) -> dict[str, Message]:
    rows = await ports.store.rows(event.user_id, event.message_ids[: CHANGES_MAX + 1])
    _check(rows.values(), state)
    return rows


async def _chunk(
    order: BulkFolderCommand, state: MailboxState, position: Position, ports: MailboxPorts
) -> CommandOutcome:
    chunk = bulk_commands.begin(state, order, position, chunk_max=ports.chunk_max)
    if isinstance(chunk, CommandAnswered):
        return chunk
    while not chunk.is_done:
        rows = await ports.store.by_uid(
            order.user_id, order.folder_id, after_uid=chunk.after_uid, limit=ports.chunk_max
        )
        _check(rows, state)
        chunk.take(rows)
    return chunk.outcome()


def _check(rows: Iterable[Message], state: MailboxState) -> None:
    if any(row.changed_seq > state.seq for row in rows):
        raise RowNewerThanState


async def release(rows: Iterable[Message], ports: MailboxPorts) -> None:
    """What was destroyed holds its content no more; again after a crash, which changes nothing."""
    await ports.holders.release_all(
        (row.mail_id, holder_of(row.mail_id, row.user_id, row.message_id)) for row in rows
    )


async def mailbox(event: Command, work: Attempt, ports: MailboxPorts) -> Sequence[Event]:
    match event:
        case RebuildViews():
            return await lifted(await rebuild(event, work, ports), ports)
        case FoldJournal():
            return await fold(event, work, ports)
    state, outcome = await carried_out(event, ports, lambda: _step(event, work, ports))
    if isinstance(outcome, MailboxChanged):
        work.committed()
        await _release(outcome, ports)
    work.after_publish(lambda: ports.unread.set(event.user_id, state))
    return outputs_of(outcome)


def outputs_of(outcome: MailboxChanged | CommandAnswered | BulkFolderCommand) -> tuple[Event, ...]:
    """The event, then the commands that follow from it; the same whenever it is published again."""
    if not isinstance(outcome, MailboxChanged):
        return (outcome,)
    follow_up = (outcome.follow_up,) if outcome.follow_up else ()
    return (outcome, *follow_up, *fold_after(outcome))


async def _step(
    event: SequencedCommand, work: Attempt, ports: MailboxPorts
) -> tuple[MailboxState, MailboxChanged | CommandAnswered | BulkFolderCommand]:
    """The state after the command, and what to publish; the journal has it. StateBehind."""
    state = await _proven_state(event.user_id, ports)
    positions = (*work.origins, work.position)
    while (outcome := await _outcome(event, state, positions, ports)) is None:
        before, state = state, await ports.store.load(event.user_id)
        if state.seq <= before.seq:
            raise StateBehind(f"user {event.user_id} at seq {state.seq}")
    if isinstance(outcome, Commit):
        return await _commit(outcome, state, ports), outcome.entry
    return state, outcome


async def _proven_state(user_id: str, ports: MailboxPorts) -> MailboxState:
    """From the table if it is proven, else from the store; in doubt from here on.

    MailboxSetAside. A user who is set aside has no proven state.
    """
    state = ports.unread.get(user_id)
    ports.unread.doubt(user_id)
    if state is not None:
        return state
    why = await ports.aside.why(user_id)
    if why is not None:
        raise MailboxSetAside(user_id, why)
    return await ports.store.load(user_id)


async def _outcome(
    event: SequencedCommand, state: MailboxState, positions: Sequence[Position], ports: MailboxPorts
) -> Commit | MailboxChanged | CommandAnswered | BulkFolderCommand | None:
    """What to commit, publish again or answer. None: the store is ahead of `state`.

    Of several positions the oldest is journalled: while commands are put back after a restore, the
    state goes on in the old log, and knows them when they are put back once more.

    Then another owner is not idle yet. To go on with rows newer than the state would answer
    `unchanged` to what that owner has just changed, and could publish seq 3 before seq 2.
    """
    try:
        done = await _done_before(event, state, positions, ports)
        found = done or await decide(event, state, positions[0], ports)
    except RowNewerThanState:
        return None
    if isinstance(found, MailboxChanged) and found.seq > state.seq:
        return None
    if isinstance(found, CommandAnswered) and await _is_behind(state, event.user_id, ports):
        return None
    return found


async def _is_behind(state: MailboxState, user_id: str, ports: MailboxPorts) -> bool:
    """An answer is not fenced by the journal, so it looks before it speaks."""
    return (await ports.store.load(user_id)).seq != state.seq


async def _done_before(
    event: SequencedCommand, state: MailboxState, positions: Sequence[Position], ports: MailboxPorts
) -> MailboxChanged | CommandAnswered | BulkFolderCommand | None:
    """What came of this command when it was done, or None: it is new.

    Of a chunk whose entry is folded only the next chunk is known: it carries the order on.

    A new `deliver` is told by its message id alone, which `decide` looks up anyway: a position must
    never be able to swallow a mail, even where the log came back shorter than the store.
    """
    applied = rules.was_applied(state, positions)
    if isinstance(event, Deliver) and not applied:
        return None
    try:
        entry = await ports.store.by_command(event.user_id, event.command_id)
    except JournalTruncated as gone:
        return gone.follow_up or rules.answered(event, rules.UNCHANGED)
    is_old = applied and not isinstance(event, Deliver)
    return await _answer_now(event, ports) if entry is None and is_old else entry


async def _answer_now(event: SequencedCommand, ports: MailboxPorts) -> CommandAnswered:
    """It was answered then and changed nothing; later commands followed, so it must not now."""
    if isinstance(event, MessageCommand):
        there = await ports.store.messages(event.user_id, event.message_ids)
        return rules.answered(event, rules.UNCHANGED if there else rules.NOT_FOUND)
    return rules.answered(event, rules.UNCHANGED)


async def _commit(commit: Commit, before: MailboxState, ports: MailboxPorts) -> MailboxState:
    """The state after it. CommitFailed: in a way that nobody foresaw; the journal has it not.

    JournalConflict: a second writer is at work. If the store is still where this one began, there
    is none: state and journal of this mailbox differ.
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


async def _release(entry: MailboxChanged, ports: MailboxPorts) -> None:
    ids = [change.message_id for change in entry.changes if change.change == "destroyed"]
    if ids:
        rows = await ports.store.rows(entry.user_id, ids)
        await release(rows.values(), ports)
