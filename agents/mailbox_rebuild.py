"""Views written anew from the journal, in the mailbox's own turn: so no second writer is at work.

What differed is mended whatever it is; the answer says `rebuilt` with how much, or `unchanged`. A
message whose row is gone gets the head of its content; if that is gone too, an unknown one.
A damaged journal, or a state that nobody can read while only lists were ordered: `refused`.
"""

from agents.contents import reading
from agents.ports import MailboxPorts
from mail import mailbox as rules
from mail.check import UNKNOWN
from mail.errors import ContentMissing, Refused
from mail.ports import Work
from schemas.checks import Kept
from schemas.events import CommandAnswered
from schemas.mail import Head
from schemas.operator_commands import RebuildViews


async def rebuild(event: RebuildViews, work: Work, ports: MailboxPorts) -> CommandAnswered:
    ports.unread.doubt(event.user_id)
    checked = await ports.store.check(event.user_id)
    heads = {kept.message_id: await _head(kept, ports) for kept in checked.without_row}
    try:
        rebuilt = await ports.store.rebuild(event.user_id, event.parts, heads)
    except Refused as error:
        return rules.answered(event, rules.REFUSED, detail=error.detail)
    work.after_publish(lambda: ports.unread.set(event.user_id, rebuilt.state))
    if not rebuilt.mended:
        return rules.answered(event, rules.UNCHANGED)
    detail = f"{len(rebuilt.mended)} differences mended"
    return rules.answered(event, rules.REBUILT, detail=detail)


async def _head(kept: Kept, ports: MailboxPorts) -> Head:
    try:
        async with reading(kept.content, ports.contents, ports.budget) as content:
            return await ports.parser.head(content)
    except ContentMissing:
        return UNKNOWN
