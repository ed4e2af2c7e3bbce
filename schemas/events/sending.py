"""Events of a mail that a user sends: commands to a submission, and the mail on its way out."""

import msgspec

from schemas.content import Stored
from schemas.ids import CommandId, DomainId, MailId, SubmissionId, UserId
from schemas.mail import Envelope, HeaderSummary, Hop
from schemas.submissions import (
    BouncedRecipient,
    Outgoing,
    RecipientResult,
    RequestedRecipient,
    Returned,
    SubmittedMail,
)


class Submit(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="submission.submit.v1"
):
    """Send a mail. A repeat with the same idempotency key is answered with the first submission.

    Once the broker has the event, the mail is ours.
    """

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    mail: SubmittedMail
    at_ms: int
    fire_at_ms: int = 0  # hold the mail until then; not after `at_ms`: send at once
    idempotency_key: str = ""  # unique per user for 24 h; "": none
    body_hash: str = ""  # of the request; another hash under the same key is refused
    hops: tuple[Hop, ...] = ()


class CancelSubmission(msgspec.Struct, frozen=True, kw_only=True, tag="submission.cancel.v1"):
    """Do not send a held submission; its mail returns to Drafts. Refused once it was sent."""

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    submission_id: SubmissionId
    at_ms: int


class FireSubmission(msgspec.Struct, frozen=True, kw_only=True, tag="submission.fire.v1"):
    """Send a held submission now. Without effect on a submission that is not held."""

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    submission_id: SubmissionId
    at_ms: int


class ReportOutcomes(msgspec.Struct, frozen=True, kw_only=True, tag="submission.report.v1"):
    """What became of recipients of a submission; `command_id` is derived from the work."""

    command_id: CommandId
    user_id: UserId
    domain_id: DomainId
    submission_id: SubmissionId
    outcomes: tuple[RecipientResult, ...]
    at_ms: int


class ReportBounce(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="submission.bounce.v1"
):
    """A delivery status notification came to the signed reverse-path of a submission's mail."""

    command_id: CommandId  # derived from the notification and its recipient
    user_id: UserId
    domain_id: DomainId
    submission_id: SubmissionId
    recipients: tuple[BouncedRecipient, ...]
    server: str = ""  # Reporting-MTA, without its type
    at_ms: int  # when the notification came


SubmissionCommand = Submit | CancelSubmission | FireSubmission | ReportOutcomes | ReportBounce


class MailSubmitted(msgspec.Struct, frozen=True, kw_only=True, tag="mail.submitted.v1"):
    """A submission is sent: its mail enters the checks."""

    mail_id: MailId
    envelope: Envelope  # without recipients
    content: Stored
    received_at_ms: int  # when the sender submitted it
    outgoing: Outgoing
    hops: tuple[Hop, ...] = ()


class MailRejected(msgspec.Struct, frozen=True, kw_only=True, tag="mail.rejected.v1"):
    """Validation rejected the whole mail: no recipient is left, or the mail may not be sent."""

    mail_id: MailId
    envelope: Envelope
    content: Stored
    received_at_ms: int
    outgoing: Outgoing
    head: HeaderSummary
    outcomes: tuple[RecipientResult, ...]  # `failed`, for every recipient
    rejected_at_ms: int
    hops: tuple[Hop, ...] = ()


class MailRelay(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mail.relay.v1"):
    """A mail for recipients of one foreign domain."""

    mail_id: MailId
    submission_id: SubmissionId
    user_id: UserId  # the sender
    domain_id: DomainId
    destination: str  # domain in normal form (A-labels), or an address literal
    reverse_path: str
    recipients: tuple[RequestedRecipient, ...]
    content: Stored
    prefix: bytes = b""  # header fields before the content: signatures (RFC 6376)
    eight_bit: bool = False  # the content or the prefix has octets beyond ASCII (RFC 6152)
    needs_smtputf8: bool = False
    envelope_id: str = ""
    returned: Returned = ""
    received_at_ms: int  # when the sender submitted it
    queued_at_ms: int  # when it passed the checks; retries end a fixed time after it
    hops: tuple[Hop, ...] = ()


SendingEvent = SubmissionCommand | MailSubmitted | MailRejected | MailRelay
