"""What becomes of a command that is not to be handled: its journal decides.

A command that the journal has is never parked: its outputs are published, which is what was left to
be done. Contents that it destroyed stay held. Any other command is parked.
"""

from collections.abc import Sequence

from agents.mailbox import outputs_of
from agents.ports import MailboxPorts
from mail.errors import JournalTruncated, Poison
from mail.mailbox import command_rules as rules
from mail.ports import Attempt
from schemas.events.mailbox_commands import Command, FoldJournal, RebuildViews
from schemas.events.unions import Event


async def journalled(
    event: Command, _work: Attempt, ports: MailboxPorts, _cause: Poison
) -> Sequence[Event] | None:
    """The outputs of a command that is in the journal; None: it may be parked."""
    if isinstance(event, RebuildViews | FoldJournal):
        return None
    ports.unread.doubt(event.user_id)
    try:
        entry = await ports.store.by_command(event.user_id, event.command_id)
    except JournalTruncated as gone:
        return outputs_of(gone.follow_up or rules.answered(event, rules.UNCHANGED))
    return None if entry is None else outputs_of(entry)
