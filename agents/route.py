"""route: one deliver command per owner of a mail.

Reads mail.scanned. Emits mailbox.deliver, one per distinct user among the recipients: an alias, a
plus-address and a group that lead to the same user make one message.
A mail that an operator released goes to the inbox, regardless of its verdict. A mail with a
quarantine row that is not released ends here: of two scans the stricter verdict applies.
A mail that a user sends also makes the copy in Sent, submission.report for local recipients, and
one mail.relay for each foreign domain; a mail that was not sent goes back to Drafts instead.
A bounce that came to the signed reverse-path of a mail also makes submission.bounce.
A mail that entered behind `validate`, such as a notice, gets its outline here.
Puts inline content into the content store, then writes all holders, then emits. The content sweep
therefore cannot delete the content of a message before the message exists.

A store unreachable: Transient, the partition holds.
A mail without recipients, or a released mail without content: Poison.
Safe to repeat: message and command ids are derived from mail and user; times are the mail's.
"""

from collections.abc import Sequence

from agents.content_access import keep_content, reading
from agents.ports import IntakePorts
from agents.relaying.incoming_bounces import bounces
from agents.relaying.outbound import holder as relay_holder_of
from agents.sent_mail import marks_and_report, own_copy
from mail.errors import ContentMissing, Poison
from mail.ids import derived_command_id, holder_of, message_id
from mail.ports import Attempt, ContentStore, Quarantine
from mail.spam_policy import folder_for
from schemas.content import Content, Stored
from schemas.events.mail import MailScanned
from schemas.events.mailbox_commands import Deliver
from schemas.events.sending import MailRelay
from schemas.events.unions import Event
from schemas.holders import Holder
from schemas.ids import FolderId, MailId
from schemas.mail import Hop, Recipient
from schemas.mailbox import INBOX

VALIDATED = frozenset({"validate", "validate_submitted"})  # stages that write outlines


async def route(event: MailScanned, work: Attempt, ports: IntakePorts) -> Sequence[Event]:
    """The deliver commands of one mail, in the order of user ids."""
    owners = {recipient.user_id: recipient for recipient in reversed(event.envelope.recipients)}
    if not owners and event.outgoing is None:
        raise Poison(f"mail {event.mail_id} has no recipients")
    if not event.released_by and await _is_quarantined(event.mail_id, ports.quarantine):
        return ()
    if event.released_by:
        await _check_content(event.content, ports.contents)
    content = await keep_content(event.mail_id, event.content, ports.contents)
    await _outline_if_new(event, content, ports)
    folder_id = INBOX if event.released_by else folder_for(event.verdict)
    hops = (*event.hops, work.hop(folder_id))
    deliveries = [
        _deliver(event, owner, content, folder_id, hops) for _, owner in sorted(owners.items())
    ]
    outgoing = event.outgoing
    relays: Sequence[MailRelay] = ()
    if outgoing is not None:
        copy = own_copy(event, outgoing, content, work.hop("sent"))
        deliveries += [copy] if copy else []
        if ports.outbound is not None:
            relays = await ports.outbound.relays(event, outgoing, content, work.hop("relay"))
    await ports.holders.hold([*map(_holder, deliveries), *map(relay_holder_of, relays)])
    if outgoing is not None:
        return (*deliveries, *relays, *marks_and_report(event, outgoing))
    paths = ports.outbound.reverse_paths if ports.outbound is not None else None
    return (*deliveries, *await bounces(event, content, ports.contents, paths))


def _holder(command: Deliver) -> Holder:
    name = holder_of(command.mail_id, command.user_id, command.message_id)
    return Holder(mail_id=command.mail_id, holder=name, ref=command.content.ref)


async def _is_quarantined(mail_id: MailId, quarantine: Quarantine) -> bool:
    """Whether another scan of this mail was stricter, or an operator discarded the mail."""
    row = await quarantine.get(mail_id)
    return row is not None and row.released_at_ms is None


async def _outline_if_new(event: MailScanned, stored: Stored, ports: IntakePorts) -> None:
    """Write the outline of a mail that did not pass `validate`, which writes all others.

    It is made of the stored content: a notice of the same cause on the same day has the same mail
    id and another text, and the first text stays.
    """
    if any(hop.stage in VALIDATED for hop in event.hops):
        return
    async with reading(stored, ports.contents, ports.budget) as content:
        outline = await ports.parser.outline(content)
    await ports.outlines.put(event.mail_id, outline)


async def _check_content(content: Content, contents: ContentStore) -> None:
    """Check that the content of a released mail still exists.

    Raises ContentMissing: the mail is parked rather than delivered without a body.
    """
    if isinstance(content, Stored) and await contents.missing([content.ref]):
        raise ContentMissing(content.ref)


def _deliver(
    event: MailScanned,
    owner: Recipient,
    content: Stored,
    folder_id: FolderId,
    hops: tuple[Hop, ...],
) -> Deliver:
    return Deliver(
        command_id=derived_command_id(event.mail_id, owner.user_id, "deliver"),
        user_id=owner.user_id,
        domain_id=owner.domain_id,
        message_id=message_id(event.mail_id, owner.user_id),
        mail_id=event.mail_id,
        folder_id=folder_id,
        keywords=(),
        content=content,
        received_at_ms=event.received_at_ms,
        at_ms=event.scanned_at_ms or event.received_at_ms,
        head=event.head,
        verdict=event.verdict,
        hops=hops,
    )
