"""mailbox, before parking: a command that is in the journal is published instead of parked.

Publishing the outputs is all that was left to do for such a command; contents that it destroyed
stay held. Any other command is parked.
"""

from collections.abc import Sequence

from agents.mailbox import outputs_of
from agents.ports import MailboxPorts
from mail.errors import JournalTruncated, Poison
from mail.ports import Attempt
from schemas.events.mailbox_commands import Command, FoldJournal, RebuildViews
from schemas.events.mailbox_events import UNCHANGED, CommandAnswered
from schemas.events.unions import Event


async def journalled(
    event: Command, _work: Attempt, ports: MailboxPorts, _cause: Poison
) -> Sequence[Event] | None:
    """The outputs of a command that is in the journal; None: the command may be parked."""
    if isinstance(event, RebuildViews | FoldJournal):
        return None
    ports.states.doubt(event.user_id)
    try:
        entry = await ports.store.by_command(event.user_id, event.command_id)
    except JournalTruncated as truncated:
        return outputs_of(truncated.follow_up or CommandAnswered.to(event, UNCHANGED))
    return None if entry is None else outputs_of(entry)
