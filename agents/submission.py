"""submission: the single writer of the submissions of every user.

Reads mail.submissions, strictly in order per user, so of a cancel and a fire the first one wins.
Stores and holds the contents of a new submission, then writes its row, then emits. Emits
mailbox.note_submission for each change of a row, and as the answer to a command; mail.submitted
when a submission is sent; mailbox.expunge_messages for the draft of an accepted submission. A
canceled submission goes back to Drafts by way of the scanners: mail.submitted, marked as a draft.
The sender gets a mail about failures and delays: mail.validated; not about what a bounce reports,
which is in the sender's inbox itself.
The holders of the contents stay until some time after the submission is final
(agents/background/settled_submissions.py).

A store unreachable, or the row changed by another owner of the partition: Transient.
A command for a submission that does not exist is answered and changes nothing.
Safe to repeat: rows do not change twice (mail/sending/submission_rows.py); ids of all outputs are
derived from the command and the submission.
"""

import logging
from collections.abc import Sequence
from typing import Literal

import msgspec

from agents.content_access import keep_content
from agents.ports import SubmissionPorts
from agents.relaying.status_notices import notices
from mail.ids import derived_command_id, note_id
from mail.ports import Attempt
from mail.sending.bounced_recipients import bounce_results
from mail.sending.submission_rows import (
    canceled,
    contents_of,
    fired,
    has_key,
    new_submission,
    note_of,
    reported,
    submitted_mail,
)
from schemas.events.mailbox_commands import ExpungeMessages, NoteSubmission
from schemas.events.mailbox_events import CONFLICT, NOT_FOUND, REFUSED
from schemas.events.sending import (
    CancelSubmission,
    FireSubmission,
    ReportBounce,
    ReportOutcomes,
    SubmissionCommand,
    Submit,
)
from schemas.events.unions import Event
from schemas.holders import SUBMISSION_HOLDER, Holder
from schemas.ids import SubmissionId
from schemas.mailbox import DRAFTS
from schemas.submissions import CANCELED, QUEUED, Submission, SubmittedMail

log = logging.getLogger(__name__)
KEY_REUSED = "The Idempotency-Key was used for another request."
TOO_LATE = "The mail was sent already."
NO_SUBMISSION = "There is no such submission."


async def submission(
    event: SubmissionCommand, work: Attempt, ports: SubmissionPorts
) -> Sequence[Event]:
    """Apply one command to a submission; return the events to publish."""
    match event:
        case Submit():
            return await _submit(event, work, ports)
        case FireSubmission():
            return await _fire(event, work, ports)
        case CancelSubmission():
            return await _cancel(event, work, ports)
        case ReportOutcomes():
            return await _report(event, work, ports)
        case ReportBounce():
            return await _bounce(event, ports)


async def _submit(event: Submit, work: Attempt, ports: SubmissionPorts) -> Sequence[Event]:
    row = await _own(SubmissionId(event.mail.mail_id), event, ports)
    if row is None:
        first = await _first_of_key(event, ports)
        if first is not None and first.body_hash != event.body_hash:
            return (_answer(event, REFUSED, KEY_REUSED),)
        if first is not None:
            return (_note(event, first),)
        mail = await _with_stored_contents(event, ports)
        row = new_submission(event, mail, partition=work.position.partition)
        await ports.submissions.put(row)
    return (_note(event, row), *_draft_removed(event, row), *_sent(row, event, work))


async def _first_of_key(event: Submit, ports: SubmissionPorts) -> Submission | None:
    """The submission that used the command's idempotency key before it."""
    if not event.idempotency_key:
        return None
    first = await ports.submissions.by_key(event.user_id, event.idempotency_key)
    return first if first is not None and has_key(first, at_ms=event.at_ms) else None


async def _with_stored_contents(event: Submit, ports: SubmissionPorts) -> SubmittedMail:
    """The command's mail with its contents in the content store, held by the submission."""
    mail = event.mail
    content = await keep_content(mail.mail_id, mail.content, ports.contents)
    sent_copy = mail.sent_copy and await keep_content(
        mail.sent_mail_id, mail.sent_copy, ports.contents
    )
    stored = msgspec.structs.replace(mail, content=content, sent_copy=sent_copy)
    await ports.holders.hold(
        Holder(mail_id=mail_id, holder=SUBMISSION_HOLDER, ref=mail_id)
        for mail_id in contents_of(stored)
    )
    return stored


async def _fire(event: FireSubmission, work: Attempt, ports: SubmissionPorts) -> Sequence[Event]:
    row = await _own(event.submission_id, event, ports)
    if row is None:
        return (_answer(event, NOT_FOUND, NO_SUBMISSION),)
    after = fired(row, event)
    if after != row:
        await ports.submissions.put(after)
    return (_note(event, after), *_sent(after, event, work))


async def _cancel(
    event: CancelSubmission, work: Attempt, ports: SubmissionPorts
) -> Sequence[Event]:
    row = await _own(event.submission_id, event, ports)
    if row is None:
        return (_answer(event, NOT_FOUND, NO_SUBMISSION),)
    after = canceled(row, event)
    if after != row:
        await ports.submissions.put(after)
    if after.status != CANCELED:
        return (_answer(event, CONFLICT, TOO_LATE),)
    if after.canceled_by != event.command_id:
        return (_note(event, after),)
    draft = submitted_mail(after, work.hop("canceled"), as_draft=True)
    return (_note(event, after), draft)


async def _report(event: ReportOutcomes, work: Attempt, ports: SubmissionPorts) -> Sequence[Event]:
    row = await _own(event.submission_id, event, ports)
    if row is None:
        log.warning("outcomes of the unknown submission %s are dropped", event.submission_id)
        return ()
    after = reported(row, event.outcomes, by=event.command_id)
    if after != row:
        await ports.submissions.put(after)
    return (_note(event, after), *await notices(event, after, work, ports))


async def _bounce(event: ReportBounce, ports: SubmissionPorts) -> Sequence[Event]:
    """Record a bounce; the sender got it as a mail, so no notice is made."""
    row = await _own(event.submission_id, event, ports)
    results = bounce_results(row, event) if row is not None else ()
    if row is None or not results:
        log.warning("bounce of %s: no such submission or recipient", event.submission_id)
        return ()
    after = reported(row, results, by=event.command_id)
    if after != row:
        await ports.submissions.put(after)
    return (_note(event, after),)


async def _own(
    submission_id: SubmissionId, event: SubmissionCommand, ports: SubmissionPorts
) -> Submission | None:
    """The user's submission; None if there is none, also if it is another user's."""
    row = await ports.submissions.get(submission_id)
    return row if row is not None and row.user_id == event.user_id else None


def _sent(row: Submission, event: Submit | FireSubmission, work: Attempt) -> tuple[Event, ...]:
    """The mail on its way out, if `event` sent the submission and nothing is known of it yet."""
    if row.status != QUEUED or row.fired_by != event.command_id:
        return ()
    return (submitted_mail(row, work.hop("submitted")),)


def _draft_removed(event: Submit, row: Submission) -> tuple[Event, ...]:
    """The removal of the draft that the submission was made from."""
    if not row.mail.draft_message_id:
        return ()
    return (
        ExpungeMessages(
            command_id=derived_command_id(row.submission_id, "draft"),
            user_id=row.user_id,
            domain_id=row.domain_id,
            message_ids=(row.mail.draft_message_id,),
            folder_id=DRAFTS,
            at_ms=event.at_ms,
        ),
    )


def _note(event: SubmissionCommand, row: Submission) -> NoteSubmission:
    return NoteSubmission(
        command_id=note_id(event.command_id),
        user_id=row.user_id,
        domain_id=row.domain_id,
        note=note_of(row),
        at_ms=event.at_ms,
    )


def _answer(
    event: SubmissionCommand, outcome: Literal["refused", "conflict", "not_found"], detail: str
) -> NoteSubmission:
    return NoteSubmission(
        command_id=note_id(event.command_id),
        user_id=event.user_id,
        domain_id=event.domain_id,
        outcome=outcome,
        detail=detail,
        at_ms=event.at_ms,
    )
