"""Rule of notes about submissions: a step of the mailbox, or the answer to a refused command."""

from mail.mailbox.command_rules import CommandOutcome
from mail.mailbox.commit_builder import CommitBuilder
from schemas.events.mailbox_commands import NoteSubmission
from schemas.events.mailbox_events import REFUSED, CommandAnswered, Position
from schemas.mailbox import MailboxState


def decide(state: MailboxState, command: NoteSubmission, position: Position) -> CommandOutcome:
    """The step with the note; without a note the answer, which takes no seq."""
    if command.note is None:
        return CommandAnswered.to(command, command.outcome or REFUSED, command.detail)
    builder = CommitBuilder(state, command, position)
    builder.note_submission(command.note)
    return builder.commit()
