"""validate_submitted: basic validation of a mail that a user sends, before the scanners.

Reads mail.submitted. Writes the outlines of the mail and of the copy for Sent. Resolves each
recipient: a local recipient joins the envelope, a recipient of another domain stays in `outgoing`.
Emits mail.validated; submission.report for recipients that do not exist or have no room;
mail.rejected if the sender may not send the mail, or no recipient is left. A draft passes without
recipients.

Content that is not in the store: Poison.
A store unreachable: Transient, the partition holds.
Safe to repeat: outlines are keyed by mail id, and ids of reports are derived from the mail.
"""

from collections.abc import Sequence

import msgspec

from agents.content_access import reading
from agents.ports import SubmittedPorts
from mail.addresses import normal_address
from mail.directory.recipient_resolver import recipients
from mail.errors import BadAddress, NotFound, Refused
from mail.ids import derived_command_id
from mail.ports import Attempt
from mail.sending.relay_setting import RELAY_OFF
from schemas.events.mail import MailValidated
from schemas.events.sending import MailRejected, MailSubmitted, ReportOutcomes
from schemas.events.unions import Event
from schemas.ids import MailId
from schemas.mail import HeaderSummary, Recipient
from schemas.submissions import FAILED, RecipientResult, RequestedRecipient

NO_SUCH_USER = "5.1.1"
BAD_SYNTAX = "5.1.3"
MAILBOX_FULL = "5.2.2"


async def validate_submitted(
    event: MailSubmitted, work: Attempt, ports: SubmittedPorts
) -> Sequence[Event]:
    """The mail with its header summary, and reports of what failed; or the rejected mail."""
    head = await _outlined(event, ports)
    if event.outgoing.is_draft:
        return (_validated(event, work, head, (), ()),)
    fault = await ports.senders.fault(event.outgoing.user_id, _senders(event, head))
    if fault is not None:
        outcomes = [_failed(event, each, *fault) for each in event.outgoing.recipients]
        return (_rejected(event, work, head, outcomes),)
    local: list[Recipient] = []
    remote: list[RequestedRecipient] = []
    failures: list[RecipientResult] = []
    for each in event.outgoing.recipients:
        result = await _resolve(event, each, ports)
        match result:
            case RecipientResult():
                failures.append(result)
            case None:
                remote.append(each)
            case _:
                local += result
    if not local and not remote:
        return (_rejected(event, work, head, failures),)
    report = (_report(event, failures),) if failures else ()
    return (_validated(event, work, head, local, remote), *report)


async def _outlined(event: MailSubmitted, ports: SubmittedPorts) -> HeaderSummary:
    async with reading(event.content, ports.contents, ports.budget) as content:
        parsed = await ports.parser.outlined_head(content)
    await ports.outlines.put(event.mail_id, parsed.outline)
    copy = event.outgoing.sent_copy
    if copy is not None:
        async with reading(copy, ports.contents, ports.budget) as content:
            outline = await ports.parser.outline(content)
        await ports.outlines.put(MailId(copy.ref), outline)
    return parsed.head


def _senders(event: MailSubmitted, head: HeaderSummary) -> list[str]:
    """The addresses that the mail names as its sender: reverse-path and From field."""
    named = [event.envelope.reverse_path, head.sender.address if head.sender else ""]
    return [address for address in named if address]


async def _resolve(
    event: MailSubmitted, each: RequestedRecipient, ports: SubmittedPorts
) -> tuple[Recipient, ...] | RecipientResult | None:
    """The local recipients of an address; None: another domain's; or why it cannot be reached."""
    try:
        normal_address(each.address)
        owners = await ports.resolver.resolve(each.address)
        if not await ports.room.has_room(owners, size_bytes=event.content.size_bytes):
            return _failed(event, each, MAILBOX_FULL, "the mailbox is full")
        return recipients(each.address, owners)
    except BadAddress as error:
        return _failed(event, each, BAD_SYNTAX, error.detail)
    except NotFound as error:
        return _failed(event, each, NO_SUCH_USER, error.detail)
    except Refused:
        return _failed(event, each, *RELAY_OFF) if ports.relay.is_off else None


def _failed(
    event: MailSubmitted, each: RequestedRecipient, code: str, detail: str
) -> RecipientResult:
    return RecipientResult(
        address=each.address, status=FAILED, code=code, detail=detail, at_ms=event.received_at_ms
    )


def _validated(
    event: MailSubmitted,
    work: Attempt,
    head: HeaderSummary,
    local: Sequence[Recipient],
    remote: Sequence[RequestedRecipient],
) -> MailValidated:
    hop = work.hop("parse_failed" if head.parse_failed else "parsed")
    return MailValidated(
        mail_id=event.mail_id,
        envelope=msgspec.structs.replace(event.envelope, recipients=tuple(local)),
        content=event.content,
        trace_size_bytes=0,
        received_at_ms=event.received_at_ms,
        head=head,
        hops=(*event.hops, hop),
        outgoing=msgspec.structs.replace(event.outgoing, recipients=tuple(remote)),
    )


def _rejected(
    event: MailSubmitted, work: Attempt, head: HeaderSummary, outcomes: Sequence[RecipientResult]
) -> MailRejected:
    hop = work.hop("rejected")
    return MailRejected(
        mail_id=event.mail_id,
        envelope=event.envelope,
        content=event.content,
        received_at_ms=event.received_at_ms,
        outgoing=event.outgoing,
        head=head,
        outcomes=tuple(outcomes),
        rejected_at_ms=hop.started_at_ms,
        hops=(*event.hops, hop),
    )


def _report(event: MailSubmitted, failures: Sequence[RecipientResult]) -> ReportOutcomes:
    return ReportOutcomes(
        command_id=derived_command_id(event.mail_id, "validate_submitted"),
        user_id=event.outgoing.user_id,
        domain_id=event.outgoing.domain_id,
        submission_id=event.outgoing.submission_id,
        outcomes=tuple(failures),
        at_ms=event.received_at_ms,
    )
