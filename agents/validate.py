"""validate: reads a mail's structure; never refuses.

Reads mail.received. Emits mail.validated, always. What nobody can parse goes on, marked
`parse_failed`, and is shown raw: after 250 there is nobody left to refuse it to.
A mail that ends the process, also when it is alone, is parsed by another process.
Content that is not in the store: Poison. A store unreachable: Transient, the partition holds.
Safe to repeat: it writes nothing.
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
    async with reading(event.content, ports.contents, ports.budget) as content:
        head = await ports.parser.head(content)
    return (_validated(event, work, head),)


async def parsed_apart(
    event: MailReceived, work: Attempt, ports: IntakePorts, cause: Poison
) -> Sequence[Event] | None:
    """Instead of parking a mail that ends this process: have it parsed by another one."""
    if not isinstance(cause, EndsProcess):
        return None
    async with reading(event.content, ports.contents, ports.budget) as content:
        head = await ports.parser.head(content, apart=True)
    return (_validated(event, work, head),)


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
