"""What the rules of all mailbox commands share. A rule is a pure function of command and mailbox.

A rule returns the commit to write, or the answer to a command that changes nothing. No rule reads
a clock, draws a random number or makes an id. Two owners of a partition, or one owner before and
after a crash, therefore compute the same commit. So the journal can distinguish a repeat from a
conflict.
The rules are in delivery_rules.py, message_rules.py, folder_rules.py and bulk_commands.py.
"""

from collections.abc import Iterable

from mail.mailbox.commit_builder import CommitBuilder
from mail.ports import Commit
from schemas.events.mailbox_commands import Command
from schemas.events.mailbox_events import (
    CONFLICT,
    NOT_FOUND,
    REFUSED,
    UNCHANGED,
    CommandAnswered,
    Failures,
    Position,
)
from schemas.mailbox import MailboxState

CHANGED_MEANWHILE = "It was changed meanwhile."

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


def outcome_of(builder: CommitBuilder, command: Command) -> CommandOutcome:
    """The commit of the builder's changes; without changes the answer, with all failures."""
    if not builder.is_empty:
        return builder.commit()
    return answer_of(command, builder.failures, unchanged=builder.unchanged)


def answer_of(command: Command, failures: Failures, *, unchanged: int = 0) -> CommandAnswered:
    """The answer to a command without changes; `unchanged`: messages that were as it asked."""
    if failures.conflicts:
        return CommandAnswered.to(command, CONFLICT, CHANGED_MEANWHILE, failures=failures)
    if failures.refusals:
        detail = next(iter(failures.refusals.values()))
        return CommandAnswered.to(command, REFUSED, detail, failures=failures)
    if failures.not_found and not unchanged:
        return CommandAnswered.to(command, NOT_FOUND, failures=failures)
    return CommandAnswered.to(command, UNCHANGED, failures=failures)
