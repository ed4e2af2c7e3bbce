"""Mail that users send, behind the scanners: the copy in Sent, and reports to the sender.

Ids are derived from the mail, so a repeat makes the same commands.
"""

from collections.abc import Iterable, Sequence

from mail.ids import derived_command_id
from schemas.content import Stored
from schemas.events.mail import MailScanned, MailValidated
from schemas.events.mailbox_commands import ChangeMessages, Deliver
from schemas.events.sending import ReportOutcomes
from schemas.events.unions import Event
from schemas.ids import CommandId, FolderId, MailId, MessageId
from schemas.mail import Hop, Verdict
from schemas.mailbox import ANSWERED, DRAFT, DRAFTS, FORWARDED, NO_DRAFT, SEEN, SENT
from schemas.submissions import DELIVERED, FAILED, Outgoing, RecipientResult, RecipientStatus

NOT_SENT = "5.7.1"  # RFC 3463 §3.8


def refusal(event: MailValidated, verdict: Verdict) -> Sequence[Event]:
    """The report that an outgoing mail is in quarantine; nothing for other mail and for drafts."""
    if event.outgoing is None or event.outgoing.is_draft:
        return ()
    addresses = (*_addresses(event), *(each.address for each in event.outgoing.recipients))
    return (
        _report(
            event,
            event.outgoing,
            "scan",
            (_outcome(each, FAILED, event, NOT_SENT, _reason(verdict)) for each in addresses),
        ),
    )


def own_copy(event: MailScanned, outgoing: Outgoing, content: Stored, hop: Hop) -> Deliver | None:
    """The sender's copy: in Sent, or in Drafts if the mail was not sent; None: not saved."""
    if not outgoing.is_saved and not outgoing.is_draft:
        return None
    copy = outgoing.sent_copy or content
    mail_id = MailId(copy.ref)
    folder_id, keywords = (DRAFTS, (DRAFT, SEEN)) if outgoing.is_draft else (SENT, (SEEN,))
    return Deliver(
        command_id=_command_id(event, outgoing, folder_id),
        user_id=outgoing.user_id,
        domain_id=outgoing.domain_id,
        message_id=own_message_id(outgoing),
        mail_id=mail_id,
        folder_id=folder_id,
        keywords=keywords,
        content=copy,
        received_at_ms=event.received_at_ms,
        at_ms=_at_ms(event),
        head=event.head,
        verdict=event.verdict,
        hops=(*event.hops, hop),
        draft_id=outgoing.draft_id if outgoing.is_draft else NO_DRAFT,
    )


def own_message_id(outgoing: Outgoing) -> MessageId:
    """The message id of the sender's copy: the submission's, or one of its own for a draft."""
    if not outgoing.is_draft:
        return outgoing.message_id
    return MessageId(derived_command_id(outgoing.submission_id, "returned draft"))


def marks_and_report(event: MailScanned, outgoing: Outgoing) -> tuple[Event, ...]:
    """The marks on the message that was answered or forwarded; the report of local deliveries."""
    marks = ((outgoing.answers, ANSWERED), (outgoing.forwards, FORWARDED))
    changes = [
        ChangeMessages(
            command_id=_command_id(event, outgoing, keyword),
            user_id=outgoing.user_id,
            domain_id=outgoing.domain_id,
            message_ids=(message_id,),
            add_keywords=(keyword,),
            at_ms=_at_ms(event),
        )
        for message_id, keyword in marks
        if message_id
    ]
    local = [_outcome(each, DELIVERED, event) for each in _addresses(event)]
    return (*changes, *((_report(event, outgoing, "route", local),) if local else ()))


def _addresses(event: MailValidated | MailScanned) -> tuple[str, ...]:
    """The addresses of local recipients, each once: a group has several recipients."""
    return tuple(dict.fromkeys(each.address for each in event.envelope.recipients))


def _report(
    event: MailValidated | MailScanned,
    outgoing: Outgoing,
    stage: str,
    outcomes: Iterable[RecipientResult],
) -> ReportOutcomes:
    return ReportOutcomes(
        command_id=_command_id(event, outgoing, stage),
        user_id=outgoing.user_id,
        domain_id=outgoing.domain_id,
        submission_id=outgoing.submission_id,
        outcomes=tuple(outcomes),
        at_ms=_at_ms(event),
    )


def _outcome(
    address: str,
    status: RecipientStatus,
    event: MailValidated | MailScanned,
    code: str = "",
    detail: str = "",
) -> RecipientResult:
    return RecipientResult(
        address=address, status=status, code=code, detail=detail, at_ms=_at_ms(event)
    )


def _reason(verdict: Verdict) -> str:
    match verdict.outcome:
        case "infected":
            return f"The mail was not sent: it contains {verdict.virus}."
        case "spam":
            return "The mail was not sent: it looks like spam."
        case _:
            return "The mail was not sent: it could not be scanned."


def _at_ms(event: MailValidated | MailScanned) -> int:
    """When the mail was scanned or released; a validated mail: when its sender submitted it."""
    scanned_at_ms = event.scanned_at_ms if isinstance(event, MailScanned) else 0
    return scanned_at_ms or event.received_at_ms


def _command_id(
    event: MailValidated | MailScanned, outgoing: Outgoing, name: str | FolderId
) -> CommandId:
    released = event.released_by if isinstance(event, MailScanned) else ""
    return derived_command_id(outgoing.submission_id, name, *([released] if released else []))
