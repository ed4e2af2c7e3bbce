"""reject: the error queue. A rejected mail returns to Drafts, and its sender gets the reasons.

Reads mail.rejected. Emits submission.report for every recipient, and mail.validated, marked as a
draft: the mail reaches the folder by way of the scanners.

Safe to repeat: all ids are derived from the mail.
"""

from collections.abc import Sequence

import msgspec

from agents.ports import SubmissionPorts
from mail.ids import derived_command_id
from mail.ports import Attempt
from schemas.events.mail import MailValidated
from schemas.events.sending import MailRejected, ReportOutcomes
from schemas.events.unions import Event


async def reject(event: MailRejected, work: Attempt, _ports: SubmissionPorts) -> Sequence[Event]:
    """The reasons for the sender, and the mail for the folder Drafts."""
    outgoing = event.outgoing
    report = ReportOutcomes(
        command_id=derived_command_id(event.mail_id, "reject"),
        user_id=outgoing.user_id,
        domain_id=outgoing.domain_id,
        submission_id=outgoing.submission_id,
        outcomes=event.outcomes,
        at_ms=event.rejected_at_ms,
    )
    draft = MailValidated(
        mail_id=event.mail_id,
        envelope=event.envelope,
        content=event.content,
        trace_size_bytes=0,
        received_at_ms=event.received_at_ms,
        head=event.head,
        outgoing=msgspec.structs.replace(outgoing, is_draft=True),
        hops=(*event.hops, work.hop("returned")),
    )
    return (draft, report)
