"""Incoming bounces: notifications of other servers on mail that was sent from here (RFC 3464).

A mail with the null reverse-path to a signed reverse-path is read, its first READ_MAX_BYTES, for
the recipients that failed or are late. It is delivered to the sender as any mail.
Safe to repeat: ids and times are those of the notification.
"""

import logging
from collections.abc import Iterator

from mail.ids import derived_command_id
from mail.ports import ContentStore
from mail.sending.bounced_recipients import bounced_recipients
from mail.sending.incoming_status import READ_MAX_BYTES, read_status
from mail.sending.reverse_path import ReversePaths
from schemas.content import Stored
from schemas.events.mail import MailScanned
from schemas.events.sending import ReportBounce
from schemas.ids import MailId, SubmissionId
from schemas.mail import Recipient

log = logging.getLogger(__name__)


async def bounces(
    event: MailScanned, content: Stored, contents: ContentStore, paths: ReversePaths | None
) -> tuple[ReportBounce, ...]:
    """One report for each submission whose reverse-path the mail came to; none for other mail."""
    if paths is None or event.envelope.reverse_path or event.outgoing is not None:
        return ()
    mails = dict(_bounced_mails(event, paths))
    if not mails:
        return ()
    octets = await contents.read(content.ref, start=0, size_bytes=READ_MAX_BYTES)
    status = read_status(octets)
    recipients = bounced_recipients(status.recipients) if status else ()
    if status is None or not recipients:
        log.info("bounce %s reports no failure and no delay", event.mail_id)
        return ()
    return tuple(
        ReportBounce(
            command_id=derived_command_id(event.mail_id, "bounce", mail_id),
            user_id=recipient.user_id,
            domain_id=recipient.domain_id,
            submission_id=SubmissionId(mail_id),
            recipients=recipients,
            server=status.reporting_mta,
            at_ms=event.received_at_ms,
        )
        for mail_id, recipient in mails.items()
    )


def _bounced_mails(event: MailScanned, paths: ReversePaths) -> Iterator[tuple[MailId, Recipient]]:
    """The mails whose signed reverse-paths are among the recipients, and the recipients."""
    for recipient in event.envelope.recipients:
        mail_id = paths.mail_of(recipient.address, now_ms=event.received_at_ms)
        if mail_id is not None:
            yield mail_id, recipient
