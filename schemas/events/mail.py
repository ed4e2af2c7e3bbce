"""Events of a mail before its mailboxes: received, validated, scanned."""

import msgspec

from schemas.content import Content
from schemas.ids import MailId
from schemas.mail import Envelope, HeaderSummary, Hop, Verdict
from schemas.submissions import Outgoing


class MailReceived(msgspec.Struct, frozen=True, kw_only=True, tag="mail.received.v1"):
    """We answered 250: the mail is durable and ours (RFC 5321 §6.1)."""

    mail_id: MailId  # UUIDv7, assigned at ingress
    envelope: Envelope
    content: Content  # trace header (Return-Path, Received), then the octets as accepted
    trace_size_bytes: int
    received_at_ms: int
    hops: tuple[Hop, ...] = ()


class MailValidated(msgspec.Struct, frozen=True, kw_only=True, tag="mail.validated.v1"):
    """The mail was parsed; or its header summary is marked `parse_failed`."""

    mail_id: MailId
    envelope: Envelope
    content: Content
    trace_size_bytes: int
    received_at_ms: int
    head: HeaderSummary
    hops: tuple[Hop, ...] = ()
    outgoing: Outgoing | None = None  # of a mail that a user sends


class MailScanned(msgspec.Struct, frozen=True, kw_only=True, tag="mail.scanned.v1"):
    """The mail was scanned and may be delivered: it is clean, or spam for the Junk folder.

    Or the operator `released_by` released it from quarantine, contrary to its `verdict`.
    """

    mail_id: MailId
    envelope: Envelope
    content: Content
    trace_size_bytes: int
    received_at_ms: int
    head: HeaderSummary
    verdict: Verdict
    hops: tuple[Hop, ...] = ()
    released_by: str = ""
    scanned_at_ms: int = 0  # or released; 0 in what earlier versions wrote, and in notices
    outgoing: Outgoing | None = None  # of a mail that a user sends
