"""mailbox: the one writer of every mailbox.

Reads mailbox.commands (deliver, change keywords), strictly in order per user. Writes journal,
views and state by MailStore.commit. Emits mailbox.changed, or mailbox.answered when nothing
changes (`unchanged`, `not_found`, `refused`: no keyword, or too many). Then sets the unread table.
The store unreachable: Transient, the partition holds. A deliver to no folder of ours: Poison,
before the journal. JournalConflict: Fatal, a second writer is or was at work.
Safe to repeat: the table is doubted from the beginning of a try until its outputs are out, so
that the next try or owner reads the store first; a command that the store knows already, by
position, command id or message id, has its output published again and changes nothing.
"""

from collections.abc import Sequence

from agents.ports import MailboxPorts
from mail import mailbox as rules
from mail.errors import Fatal, PostriverError
from mail.ports import Commit, Work
from schemas.events import (
    ChangeKeywords,
    Command,
    CommandAnswered,
    Deliver,
    Event,
    MailboxChanged,
    Position,
)
from schemas.mailbox import MailboxState


async def mailbox(event: Command, work: Work, ports: MailboxPorts) -> Sequence[Event]:
    state = await _proven_state(event.user_id, ports)
    while (outcome := await _outcome(event, state, work.position, ports)) is None:
        state = await ports.store.load(event.user_id)
    if isinstance(outcome, Commit):
        await _commit(outcome, ports)
        state, outcome = outcome.state, outcome.entry
    work.after_publish(lambda: ports.unread.set(event.user_id, state))
    return (_answer(event, outcome) if isinstance(outcome, str) else outcome,)


async def _proven_state(user_id: str, ports: MailboxPorts) -> MailboxState:
    """From the table if it is proven, else from the store; in doubt from here on."""
    state = ports.unread.get(user_id)
    ports.unread.doubt(user_id)
    return await ports.store.load(user_id) if state is None else state


async def _outcome(
    event: Command, state: MailboxState, position: Position, ports: MailboxPorts
) -> Commit | MailboxChanged | str | None:
    """What to commit, publish again or answer. None: the store is ahead of `state`.

    Then another owner is not idle yet. To go on with rows newer than the state would answer
    `unchanged` to what that owner has just changed, and could publish seq 3 before seq 2.
    """
    done = await _done_before(event, state, position, ports)
    if done is None:
        return await _decide(event, state, position, ports)
    is_ahead = isinstance(done, MailboxChanged) and done.seq > state.seq
    return None if is_ahead else done


async def _done_before(
    event: Command, state: MailboxState, position: Position, ports: MailboxPorts
) -> MailboxChanged | str | None:
    """What came of this command when it was done, or None: it is new.

    A new `deliver` is told by its message id alone, which _decide looks up anyway: a position must
    never be able to swallow a mail, even where the log came back shorter than the store.
    """
    applied = rules.was_applied(state, position)
    if applied or isinstance(event, ChangeKeywords):
        entry = await ports.store.by_command(event.user_id, event.command_id)
        if entry is not None:
            return entry
    is_old = applied and isinstance(event, ChangeKeywords)
    return await _answer_now(event, ports) if is_old else None


async def _answer_now(event: Command, ports: MailboxPorts) -> str:
    """It was answered then and changed nothing; later commands followed, so it must not now."""
    row = await ports.store.message(event.user_id, event.message_id)
    return rules.NOT_FOUND if row is None or row.destroyed else rules.UNCHANGED


async def _decide(
    event: Command, state: MailboxState, position: Position, ports: MailboxPorts
) -> Commit | MailboxChanged | str | None:
    row = await ports.store.message(event.user_id, event.message_id)
    if row is not None and row.changed_seq > state.seq:
        return None
    if isinstance(event, ChangeKeywords):
        return rules.change_keywords(state, row, event, position)
    if row is None:
        return rules.deliver(state, event, position)
    return await _delivered_before(event, ports)


async def _delivered_before(event: Deliver, ports: MailboxPorts) -> MailboxChanged | str:
    """The same command again: its output again. Another one for the same message: no change."""
    entry = await ports.store.by_command(event.user_id, event.command_id)
    return rules.UNCHANGED if entry is None else entry


async def _commit(commit: Commit, ports: MailboxPorts) -> None:
    """Fatal: it failed in a way that nobody foresaw, and may be in the journal already.

    From the journal on a command must not be parked, or its event would never be published.
    """
    try:
        await ports.store.commit(commit)
    except PostriverError:
        raise
    except Exception as error:
        entry = commit.entry
        raise Fatal(f"commit of user {entry.user_id} seq {entry.seq} is in doubt") from error


def _answer(event: Command, outcome: str) -> CommandAnswered:
    return CommandAnswered(
        user_id=event.user_id,
        domain_id=event.domain_id,
        command_id=event.command_id,
        outcome=outcome,
    )
