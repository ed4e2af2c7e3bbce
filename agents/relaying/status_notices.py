"""Status notices: mails about recipients that failed, are late, or have the mail (RFC 3464).

A notice goes to the sender's own mailbox, with the null reverse-path (RFC 5321 §4.5.5), so it is
never answered by another notice. NOTIFY (RFC 3461 §4.1) decides which results are reported;
without it failures and delays are. The ids are derived from the submission and the report, so a
repeat makes the same mails.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from agents.ports import SubmissionPorts
from mail.errors import ContentMissing
from mail.ids import dated_id
from mail.ports import Attempt
from mail.sending.delivery_status import (
    RETURNED_MAX_BYTES,
    Action,
    ReportedRecipient,
    StatusReport,
    notification,
)
from mail.sending.retry_schedule import RetrySchedule
from mail.sending.submission_rows import is_latest
from schemas.content import CONTENT_INLINE_MAX_BYTES, Content, Inline
from schemas.events.mail import MailValidated
from schemas.events.sending import ReportOutcomes
from schemas.ids import MailId
from schemas.mail import Envelope, Recipient
from schemas.submissions import (
    DELIVERED,
    FAILED,
    RELAYED,
    RecipientResult,
    RequestedRecipient,
    Submission,
)

TRACE = b"Return-Path: <>\r\n"
_SUCCESS_STATUS = "2.0.0"  # of a result without a code (RFC 3463)


async def notices(
    event: ReportOutcomes, row: Submission, work: Attempt, ports: SubmissionPorts
) -> Sequence[MailValidated]:
    """One mail for each kind of news in the report; `row` is the submission after the report."""
    if not row.mail.reverse_path:
        return ()
    news = _news(event.outcomes, row)
    header = await _header(row, ports) if news else b""
    mails = []
    for action, recipients in sorted(news.items()):
        mail_id = MailId(dated_id(event.at_ms, row.submission_id, event.command_id, action))
        report = StatusReport(
            report_id=mail_id,
            mail_id=row.mail.mail_id,
            action=action,
            reverse_path=row.mail.reverse_path,
            hostname=ports.hostname,
            recipients=recipients,
            reported_ms=event.at_ms,
            arrived_ms=row.created_at_ms,
            envid=row.mail.envelope_id,
            header=header,
        )
        octets = notification(report)
        assert octets is not None, "the reverse-path is not null"
        mails.append(await _mail(mail_id, TRACE + octets, event, row, work, ports))
    return mails


def _news(
    results: Iterable[RecipientResult], row: Submission
) -> dict[Action, list[ReportedRecipient]]:
    """The recipients that the sender gets a notice of, by action."""
    requested = {each.address: each for each in row.mail.recipients}
    news: dict[Action, list[ReportedRecipient]] = defaultdict(list)
    for result in results:
        recipient = requested.get(result.address)
        if recipient is None or not is_latest(row, result):
            continue
        action = _action(result, recipient)
        if action is not None:
            news[action].append(_reported(result, recipient, row))
    return news


def _action(result: RecipientResult, recipient: RequestedRecipient) -> Action | None:
    """The action of the notice of a result; None: no notice."""
    notify = recipient.notify or ("failure", "delay")
    if result.status == FAILED:
        return "failed" if "failure" in notify else None
    if result.is_delay:
        return "delayed" if "delay" in notify else None
    if "success" not in notify:
        return None
    if result.status == DELIVERED:
        return "delivered"
    # A peer that took NOTIFY reports the delivery itself (RFC 3461 §5.2.2).
    return "relayed" if result.status == RELAYED and not result.is_peer_notifying else None


def _reported(
    result: RecipientResult, recipient: RequestedRecipient, row: Submission
) -> ReportedRecipient:
    since_ms = max(row.created_at_ms, row.fire_at_ms)
    return ReportedRecipient(
        address=result.address,
        status=result.code or _SUCCESS_STATUS,
        orcpt=recipient.original,
        code=result.reply,
        text=result.detail,
        server_name=result.server.partition(" ")[0],
        last_attempt_ms=result.at_ms if result.attempts else None,
        retry_until_ms=since_ms + RetrySchedule().give_up_ms if result.is_delay else None,
    )


async def _header(row: Submission, ports: SubmissionPorts) -> bytes:
    """The first octets of the mail; empty if its content is gone."""
    try:
        return await ports.contents.read(row.content.ref, start=0, size_bytes=RETURNED_MAX_BYTES)
    except ContentMissing:
        return b""


async def _mail(
    mail_id: MailId,
    octets: bytes,
    event: ReportOutcomes,
    row: Submission,
    work: Attempt,
    ports: SubmissionPorts,
) -> MailValidated:
    """The notice on its way to the sender, for the scanners."""
    content: Content = Inline(octets)
    if len(octets) > CONTENT_INLINE_MAX_BYTES:
        content = await ports.contents.put(mail_id, octets)
    sender = Recipient(address=row.mail.reverse_path, user_id=row.user_id, domain_id=row.domain_id)
    return MailValidated(
        mail_id=mail_id,
        envelope=Envelope(
            reverse_path="", recipients=(sender,), client="", helo=ports.hostname, protocol="local"
        ),
        content=content,
        trace_size_bytes=len(TRACE),
        received_at_ms=event.at_ms,
        head=await ports.parser.head(octets),
        hops=(work.hop("notice"),),
    )
