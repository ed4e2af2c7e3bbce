"""Parts of a mail in events and rows: envelope (RFC 5321), header summary (RFC 5322), verdict."""

from typing import Literal

import msgspec

from schemas.ids import DomainId, UserId


class EmailAddress(msgspec.Struct, frozen=True):
    """A display name and an addr-spec (RFC 5322 §3.4); both may be empty in malformed mail."""

    name: str
    address: str


class Recipient(msgspec.Struct, frozen=True):
    """A forward-path as the client sent it, resolved to one user at ingress."""

    address: str
    user_id: UserId
    domain_id: DomainId


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope of the SMTP transaction (RFC 5321 §2.3.1)."""

    reverse_path: str  # "" is the null reverse-path of notifications
    recipients: tuple[Recipient, ...]
    client: str = ""  # IP address of the peer
    helo: str = ""
    protocol: str = "ESMTP"  # RFC 3848: SMTP, ESMTP, ESMTPS, UTF8SMTP, ...


class HeaderSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Header fields for lists, notifications and search; valid Unicode of limited length."""

    subject: str = ""
    sender: EmailAddress | None = None  # first mailbox of the From: field
    to: tuple[EmailAddress, ...] = ()
    cc: tuple[EmailAddress, ...] = ()
    reply_to: tuple[EmailAddress, ...] = ()
    message_id: str = ""  # Message-ID without angle brackets; senders may repeat it
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    date_ms: int | None = None  # Date: field; None if missing or invalid
    preview: str = ""
    has_attachments: bool = False
    parse_failed: bool = False  # the structure could not be parsed; shown raw


VerdictOutcome = Literal["clean", "infected", "spam", "unscannable"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of the scanners on one mail, with the versions of their rules."""

    outcome: VerdictOutcome
    virus: str = ""
    signatures: str = ""  # version of the virus signatures
    spam_score: float = 0.0
    spam_tests: tuple[str, ...] = ()
    rules: str = ""  # version of the spam rules
    spam_scanned_bytes: int = 0  # if less than the mail: only its beginning was scanned for spam
    detail: str = ""
    unchecked: tuple[str, ...] = ()  # parts that no scanner could read: ENCRYPTED, PARTS


APPEND = "append"  # stage of the first hop of a mail that its owner put into the mailbox
ENCRYPTED = "encrypted"  # the mail has an encrypted part
PARTS = "parts"  # the parts exceed the parser's limits; the parts cannot be downloaded


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one stage's work on a mail."""

    stage: str
    started_at_ms: int
    took_ms: float
    verdict: str
    attempt: int  # 1 for the first attempt
    worker: str
