"""validate: header summary and outline of each mail; no mail is refused.

Reads mail.received. Writes the outline; then emits mail.validated, for every mail. A mail that
cannot be parsed is marked `parse_failed` and shown raw: after the 250 reply it can no longer be
refused.
A mail that ends this process, even when handled alone, is parsed in a separate process.

Content that is not in the store: Poison.
A store unreachable: Transient, the partition holds.
Safe to repeat: the outline is keyed by mail id, and a repeat writes the same outline.
"""

from collections.abc import Sequence

from agents.content_access import reading
from agents.ports import IntakePorts
from mail.errors import EndsProcess, Poison
from mail.ports import Attempt
from schemas.events.mail import MailReceived, MailValidated
from schemas.events.unions import Event
from schemas.mail import HeaderSummary


async def validate(event: MailReceived, work: Attempt, ports: IntakePorts) -> Sequence[Event]:
    """The mail with its header summary."""
    async with reading(event.content, ports.contents, ports.budget) as content:
        parsed = await ports.parser.outlined_head(content)
    await ports.outlines.put(event.mail_id, parsed.outline)
    return (_validated(event, work, parsed.head),)


async def parsed_apart(
    event: MailReceived, work: Attempt, ports: IntakePorts, cause: Poison
) -> Sequence[Event] | None:
    """Parse a mail that ends this process in a separate process; None: park it for `cause`."""
    if not isinstance(cause, EndsProcess):
        return None
    async with reading(event.content, ports.contents, ports.budget) as content:
        parsed = await ports.parser.outlined_head(content, isolated=True)
    await ports.outlines.put(event.mail_id, parsed.outline)
    return (_validated(event, work, parsed.head),)


def _validated(event: MailReceived, work: Attempt, head: HeaderSummary) -> MailValidated:
    hop = work.hop("parse_failed" if head.parse_failed else "parsed")
    return MailValidated(
        mail_id=event.mail_id,
        envelope=event.envelope,
        content=event.content,
        trace_size_bytes=event.trace_size_bytes,
        received_at_ms=event.received_at_ms,
        head=head,
        hops=(*event.hops, hop),
    )
