"""Rows of submissions after each command: pure functions.

A command may be applied twice, and outcomes may arrive in another order than they happened. The
row after a repeat is equal to the row before it.
"""

from collections.abc import Iterable

import msgspec

from mail.clock import DAY_MS
from mail.ids import message_id, note_id
from schemas.events.sending import CancelSubmission, FireSubmission, MailSubmitted, Submit
from schemas.ids import CommandId, MailId, SubmissionId
from schemas.mail import Envelope, Hop
from schemas.submissions import (
    CANCELED,
    DELIVERED,
    FAILED,
    FINAL_STATUSES,
    HELD,
    PARTIAL,
    QUEUED,
    RELAYED,
    SENT,
    Outgoing,
    RecipientResult,
    RecipientState,
    Submission,
    SubmissionNote,
    SubmissionStatus,
    SubmittedMail,
)

KEY_KEPT_MS = DAY_MS  # an idempotency key may be used for another mail after this time


def new_submission(command: Submit, mail: SubmittedMail, *, partition: int) -> Submission:
    """The row of a new submission; `mail` is that of the command, with stored contents."""
    is_held = command.fire_at_ms > command.at_ms
    return Submission(
        submission_id=SubmissionId(mail.mail_id),
        user_id=command.user_id,
        domain_id=command.domain_id,
        message_id=message_id(mail.mail_id, command.user_id, kind="sent"),
        mail=mail,
        status=HELD if is_held else QUEUED,
        recipients=tuple(RecipientState(address=each.address) for each in mail.recipients),
        created_at_ms=command.at_ms,
        partition=partition,
        fire_at_ms=command.fire_at_ms if is_held else 0,
        fired_by=CommandId("") if is_held else command.command_id,
        changed_by=command.command_id,
        idempotency_key=command.idempotency_key,
        body_hash=command.body_hash,
        hops=command.hops,
    )


def fired(row: Submission, command: FireSubmission) -> Submission:
    """The row after a held submission is sent; other rows stay as they are."""
    if row.status != HELD:
        return row
    return _next(row, command.command_id, status=QUEUED, fired_by=command.command_id)


def canceled(row: Submission, command: CancelSubmission) -> Submission:
    """The row after a held submission is canceled; other rows stay as they are."""
    if row.status != HELD:
        return row
    recipients = tuple(
        msgspec.structs.replace(each, status=CANCELED, changed_at_ms=command.at_ms)
        for each in row.recipients
    )
    changes = {"canceled_by": command.command_id, "recipients": recipients}
    return _next(row, command.command_id, status=CANCELED, **changes)


def reported(row: Submission, outcomes: Iterable[RecipientResult], *, by: CommandId) -> Submission:
    """The row after outcomes of some recipients, which the command `by` reports.

    An outcome that is older than the known one is ignored.
    """
    if row.status in {HELD, CANCELED}:
        return row
    latest = {each.address: each for each in sorted(outcomes, key=_order)}
    recipients = tuple(_after(each, latest.get(each.address)) for each in row.recipients)
    if recipients == row.recipients:
        return row
    return _next(row, by, recipients=recipients, status=_status(recipients))


def is_latest(row: Submission, outcome: RecipientResult) -> bool:
    """Whether `outcome` is the last outcome of its recipient."""
    return any(
        each.address == outcome.address
        and not _is_superseded(each, outcome)
        and each == _after(each, outcome)
        for each in row.recipients
    )


def is_final(row: Submission) -> bool:
    """Whether nothing more happens to the submission."""
    return row.status not in {HELD, QUEUED}


def contents_of(mail: SubmittedMail) -> tuple[MailId, ...]:
    """The mail ids of the contents that the submission holds."""
    return (mail.mail_id, mail.sent_mail_id) if mail.sent_copy else (mail.mail_id,)


def settled_at_ms(row: Submission) -> int | None:
    """When the last recipient became final; None: the submission is not final."""
    return max(each.changed_at_ms for each in row.recipients) if is_final(row) else None


def has_key(row: Submission, *, at_ms: int) -> bool:
    """Whether a request at `at_ms` with the row's idempotency key is a repeat of its request."""
    return at_ms - row.created_at_ms <= KEY_KEPT_MS


def note_of(row: Submission) -> SubmissionNote:
    """The state of the submission for the feed of the sender's mailbox."""
    return SubmissionNote(
        submission_id=row.submission_id,
        message_id=row.message_id,
        status=row.status,
        version=row.version,
        held_until_ms=row.fire_at_ms if row.status == HELD else 0,
        draft_id=row.mail.draft_id,
    )


def submitted_mail(row: Submission, hop: Hop, *, as_draft: bool = False) -> MailSubmitted:
    """The mail on its way out; `as_draft`: on its way back to Drafts, through the scanners."""
    mail = row.mail
    return MailSubmitted(
        mail_id=mail.mail_id,
        envelope=Envelope(
            reverse_path=mail.reverse_path,
            recipients=(),
            client=mail.client,
            helo=mail.helo,
            protocol=mail.protocol,
        ),
        content=row.content,
        received_at_ms=row.created_at_ms,
        outgoing=Outgoing(
            submission_id=row.submission_id,
            user_id=row.user_id,
            domain_id=row.domain_id,
            message_id=row.message_id,
            recipients=mail.recipients,
            sent_copy=row.sent_copy,
            is_saved=mail.is_saved,
            needs_smtputf8=mail.needs_smtputf8,
            envelope_id=mail.envelope_id,
            returned=mail.returned,
            answers=mail.answers,
            forwards=mail.forwards,
            draft_id=mail.draft_id,
            is_draft=as_draft,
        ),
        hops=(*row.hops, hop),
    )


def noted_by(row: Submission) -> CommandId:
    """The command to the sender's mailbox that notes this version; "": not recorded."""
    return note_id(row.changed_by) if row.changed_by else CommandId("")


def _next(row: Submission, command_id: CommandId, **changes: object) -> Submission:
    return msgspec.structs.replace(row, version=row.version + 1, changed_by=command_id, **changes)


def _order(outcome: RecipientResult) -> tuple[int, int]:
    return (outcome.attempts, outcome.at_ms)


def _is_superseded(state: RecipientState, outcome: RecipientResult) -> bool:
    """Whether the state is of a later outcome.

    Attempts are counted, so their results need no clock. A bounce follows an attempt that its
    server answered with 250, also if that answer is reported here after the bounce. It says
    nothing of a recipient that failed here, and none follows a delivery into a mailbox of ours.
    """
    if outcome.is_bounce:
        is_old = outcome.status != FAILED and outcome.at_ms < state.changed_at_ms
        return is_old or state.status in {DELIVERED, FAILED, CANCELED}
    return state.is_bounced or _order(outcome) < (state.attempts, state.changed_at_ms)


def _after(state: RecipientState, outcome: RecipientResult | None) -> RecipientState:
    if outcome is None or _is_superseded(state, outcome):
        return state
    if outcome.is_bounce:
        return _bounced(state, outcome)
    return RecipientState(
        address=state.address,
        status=outcome.status,
        code=outcome.code,
        detail=outcome.detail,
        attempts=outcome.attempts,
        next_attempt_at_ms=outcome.next_attempt_at_ms,
        server=outcome.server,
        changed_at_ms=outcome.at_ms,
        is_delay_notified=state.is_delay_notified or outcome.is_delay,
    )


def _bounced(state: RecipientState, outcome: RecipientResult) -> RecipientState:
    """The state after a bounce; a delay behind the peer leaves the status as it is."""
    is_failure = outcome.status == FAILED
    return msgspec.structs.replace(
        state,
        status=FAILED if is_failure else state.status,
        code=outcome.code,
        detail=outcome.detail,
        next_attempt_at_ms=None if is_failure else state.next_attempt_at_ms,
        server=outcome.server,
        changed_at_ms=outcome.at_ms,
        is_bounced=is_failure,
    )


def _status(recipients: tuple[RecipientState, ...]) -> SubmissionStatus:
    statuses = {each.status for each in recipients}
    if not statuses <= set(FINAL_STATUSES):
        return QUEUED
    if statuses <= {DELIVERED, RELAYED}:
        return SENT
    return FAILED if statuses <= {FAILED, CANCELED} else PARTIAL
