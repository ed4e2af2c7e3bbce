"""Submissions: a mail that a user sends, its recipients, and their states.

The user's partition of mail.submissions is the single writer of the rows. A submission has the id
of its mail.
"""

from typing import Final, Literal

import msgspec

from schemas.content import Content, Stored
from schemas.ids import CommandId, DomainId, DraftId, MailId, MessageId, SubmissionId, UserId
from schemas.mail import Hop
from schemas.mailbox import NO_DRAFT

NO_MESSAGE = MessageId("")  # instead of the id of a message

PENDING: Final = "pending"  # on its way: checks, or the first attempt
DELIVERED: Final = "delivered"  # given to the mailbox of a local user
RELAYED: Final = "relayed"  # the recipient's server answered 250
DEFERRED: Final = "deferred"  # the last attempt failed, another one follows
FAILED: Final = "failed"  # no attempt follows; the sender is notified
CANCELED: Final = "canceled"  # by the sender, before the mail was sent

RecipientStatus = Literal["pending", "delivered", "relayed", "deferred", "failed", "canceled"]
FINAL_STATUSES: Final = (DELIVERED, RELAYED, FAILED, CANCELED)

HELD: Final = "held"  # until `fire_at_ms`; can be canceled
QUEUED: Final = "queued"  # some recipients are not final
SENT: Final = "sent"  # delivered or relayed to every recipient
PARTIAL: Final = "partial"  # final for all; failed for some

SubmissionStatus = Literal["held", "queued", "sent", "failed", "partial", "canceled"]
Notify = Literal["never", "success", "failure", "delay"]  # RFC 3461 §4.1
Returned = Literal["", "full", "headers"]  # RFC 3461 §4.3; "": the server chooses


class RequestedRecipient(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A forward-path of the sender, with its parameters for notifications."""

    address: str
    notify: tuple[Notify, ...] = ()  # RFC 3461 §4.1; (): failure and delay
    original: str = ""  # ORCPT (RFC 3461 §4.2), decoded: "rfc822;bob@example.org"


class SubmittedMail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a sender submits: the mail for the recipients, and the copy for the folder Sent.

    The recipients' content has no Bcc field. `sent_copy` is the same mail with the field, if there
    are such recipients; it has a mail id of its own, since a content belongs to one mail id.
    """

    mail_id: MailId  # UUIDv7, proposed by the edge
    reverse_path: str
    recipients: tuple[RequestedRecipient, ...]  # each address once, by its normal form
    content: Content
    sent_copy: Content | None = None
    sent_mail_id: MailId = MailId("")  # of `sent_copy`; "": that of the mail
    is_saved: bool = True  # a copy goes to Sent
    needs_smtputf8: bool = False  # a header field or an address is not ASCII (RFC 6531)
    envelope_id: str = ""  # ENVID (RFC 3461 §4.4), decoded
    returned: Returned = ""  # RET
    draft_id: DraftId = NO_DRAFT  # of the draft that was sent, or that a cancel makes
    draft_message_id: MessageId = NO_MESSAGE  # removed from Drafts when the submission is accepted
    answers: MessageId = NO_MESSAGE  # the sender's message that gets $answered
    forwards: MessageId = NO_MESSAGE  # the sender's message that gets $forwarded
    client: str = ""  # IP address
    helo: str = ""
    protocol: str = "HTTP"  # or RFC 3848: ESMTPSA, UTF8SMTPSA
    subject: str = ""  # of a mail composed here; "" if it came by SMTP


class RecipientResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one recipient: the result of a check, of a delivery or of an attempt."""

    address: str
    status: RecipientStatus
    code: str = ""  # enhanced status code (RFC 3463), "5.1.1"
    detail: str = ""  # one line for the sender: the peer's reply, or our reason
    attempts: int = 0
    next_attempt_at_ms: int | None = None
    server: str = ""  # name and address of the peer
    at_ms: int = 0
    is_delay: bool = False  # the sender is notified that the mail is late (RFC 3464 §2.3.3)
    reply: int = 0  # code of the SMTP reply; 0: there was none, `detail` is ours
    is_peer_notifying: bool = False  # the peer took the parameters of RFC 3461
    is_bounce: bool = False  # of a notification of another server, behind the peer


class BouncedRecipient(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a notification of another server says of one recipient (RFC 3464 §2.3).

    Nothing of it is proven, but that a server that got the mail knew where to send it.
    """

    action: Literal["failed", "delayed"]
    final: str  # Final-Recipient, without its type
    original: str = ""  # Original-Recipient, without its type
    code: str = ""  # Status; "" if it is malformed
    detail: str = ""  # Diagnostic-Code, one line


class RecipientState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A recipient of a submission and the last outcome."""

    address: str
    status: RecipientStatus = "pending"
    code: str = ""
    detail: str = ""
    attempts: int = 0
    next_attempt_at_ms: int | None = None
    server: str = ""
    changed_at_ms: int = 0
    is_delay_notified: bool = False
    is_bounced: bool = False  # a server behind the peer notified us of the failure


class Submission(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of the submission store. `version` grows by one with each write."""

    submission_id: SubmissionId
    user_id: UserId
    domain_id: DomainId
    message_id: MessageId  # of the copy in Sent
    mail: SubmittedMail  # with stored contents
    status: SubmissionStatus
    recipients: tuple[RecipientState, ...]
    created_at_ms: int
    partition: int  # of mail.submissions
    version: int = 1
    fire_at_ms: int = 0  # when it is sent, if it is held
    fired_by: CommandId = CommandId("")  # the command that sent it; "": it is held, or was canceled
    canceled_by: CommandId = CommandId("")
    changed_by: CommandId = CommandId("")  # the command that made this version; "": not recorded
    idempotency_key: str = ""
    body_hash: str = ""
    hops: tuple[Hop, ...] = ()

    @property
    def content(self) -> Stored:
        """The recipients' content. The submission stage stores it before it writes the row."""
        assert isinstance(self.mail.content, Stored)
        return self.mail.content

    @property
    def sent_copy(self) -> Stored | None:
        """The content of the copy in Sent; None: that of the recipients."""
        assert self.mail.sent_copy is None or isinstance(self.mail.sent_copy, Stored)
        return self.mail.sent_copy


class SubmissionNote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of a submission in a mailbox's feed, without its recipients."""

    submission_id: SubmissionId
    message_id: MessageId
    status: SubmissionStatus
    version: int  # of the row
    held_until_ms: int = 0
    draft_id: DraftId = NO_DRAFT


class Outgoing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The submission of a mail on its way, in events after mail.submissions."""

    submission_id: SubmissionId
    user_id: UserId
    domain_id: DomainId
    message_id: MessageId  # of the copy in Sent
    recipients: tuple[RequestedRecipient, ...]  # after validation: those of other domains
    sent_copy: Stored | None = None  # None: the mail itself; `ref` is the mail id of the copy
    is_saved: bool = True
    needs_smtputf8: bool = False
    envelope_id: str = ""
    returned: Returned = ""
    answers: MessageId = NO_MESSAGE
    forwards: MessageId = NO_MESSAGE
    draft_id: DraftId = NO_DRAFT
    is_draft: bool = False  # it is not sent: after the scanners it returns to Drafts
