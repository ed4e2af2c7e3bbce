"""Rule of the command that changes a user's settings."""

from mail.mailbox.command_rules import CommandOutcome
from mail.mailbox.commit_builder import CommitBuilder
from mail.mailbox.settings_limits import fault_in, size_fault
from mail.mailbox.user_settings import differing, patched, values_of
from schemas.events.mailbox_commands import ChangeSettings
from schemas.events.mailbox_events import CONFLICT, REFUSED, UNCHANGED, CommandAnswered, Position
from schemas.mailbox import MailboxState
from schemas.user_settings import StoredSettings

SETTINGS_CHANGED_MEANWHILE = "The settings were changed meanwhile."


def change_settings(
    state: MailboxState, stored: StoredSettings, command: ChangeSettings, position: Position
) -> CommandOutcome:
    """Change the settings; `refused` names the place of a value that is invalid or too large."""
    since = command.unchanged_since_seq
    if since is not None and stored.changed_seq > since:
        return CommandAnswered.to(command, CONFLICT, SETTINGS_CHANGED_MEANWHILE)
    patch = differing(stored.settings, command.patch)
    if not values_of(patch):
        return CommandAnswered.to(command, UNCHANGED)
    fault = fault_in(patch) or size_fault(patched(stored.settings, patch))
    if fault is not None:
        return CommandAnswered.to(command, REFUSED, str(fault))
    builder = CommitBuilder(state, command, position)
    builder.change_settings(patch)
    return builder.commit()
