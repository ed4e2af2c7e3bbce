"""Views rewritten from the journal, in the mailbox's own turn: so no second writer is at work.

One command is one bounded step (decision 0041): it publishes the next one, and other commands of
the mailbox are carried out between. The last step is answered: `rebuilt` with the number of
differences that were mended, or `unchanged`. A message whose row is gone gets the head of its
content; if that is gone too, an unknown one.
A damaged journal, or a state that cannot be read while only lists were ordered: `refused`.
"""

from collections.abc import Sequence

import msgspec

from agents.content_access import reading
from agents.ports import MailboxPorts
from mail.errors import ContentMissing, Refused
from mail.ids import derived_id, new_id
from mail.mailbox import command_rules as rules
from mail.mailbox.consistency_check import UNKNOWN
from mail.ports import Attempt
from schemas.consistency import ExpectedMessage, Rebuild
from schemas.events.mailbox_commands import RebuildViews
from schemas.events.mailbox_events import CommandAnswered
from schemas.events.unions import Event
from schemas.mail import HeaderSummary


async def rebuild(event: RebuildViews, _work: Attempt, ports: MailboxPorts) -> Sequence[Event]:
    """The next step's command, or the answer. The table stays in doubt: counts may be new."""
    ports.unread.doubt(event.user_id)
    try:
        made = await rebuild_step(event, ports)
    except Refused as error:
        return (rules.answered(event, rules.REFUSED, detail=error.detail),)
    return (_answer(event, made) if made.is_finished else following(event, made),)


async def mend(event: RebuildViews, ports: MailboxPorts) -> int:
    """A whole rebuild within the turn of another command; the number of mended differences.

    Refused. Each step is a transaction of its own, so other mailboxes do not wait for it.
    """
    event = msgspec.structs.replace(event, command_id=new_id())  # never a repeat of an earlier one
    made = await rebuild_step(event, ports)
    while not made.is_finished:
        made = await rebuild_step(following(event, made), ports)
    return made.mended


async def rebuild_step(event: RebuildViews, ports: MailboxPorts) -> Rebuild:
    """Do the step, with the heads that it needs. Refused: it cannot be done."""
    before = await ports.store.rebuilding(event.user_id)
    is_next = before and (before.rebuild_id, before.step) == (event.rebuild_id, event.step)
    lacking = before.lacking if before and is_next else ()
    heads = {kept.message_id: await _head(kept, ports) for kept in lacking}
    return await ports.store.rebuild(event, heads)


def following(event: RebuildViews, made: Rebuild) -> RebuildViews:
    """The command of the step after `made`."""
    return msgspec.structs.replace(
        event,
        command_id=derived_id(made.rebuild_id, "step", str(made.step)),
        origin_id=made.rebuild_id,
        step=made.step,
    )


def _answer(event: RebuildViews, made: Rebuild) -> CommandAnswered:
    if not made.mended:
        return rules.answered(event, rules.UNCHANGED)
    return rules.answered(event, rules.REBUILT, detail=f"{made.mended} differences mended")


async def _head(kept: ExpectedMessage, ports: MailboxPorts) -> HeaderSummary:
    try:
        async with reading(kept.content, ports.contents, ports.budget) as content:
            return await ports.parser.head(content)
    except ContentMissing:
        return UNKNOWN
