"""What travels with a mail: envelope (RFC 5321), what its header says (RFC 5322), verdict, hops."""

import msgspec


class EmailAddress(msgspec.Struct, frozen=True):
    """A display name and an addr-spec (RFC 5322 §3.4); either may be empty in broken mail."""

    name: str
    address: str


class Recipient(msgspec.Struct, frozen=True):
    """A forward-path as the client gave it, resolved to its owner at ingress."""

    address: str
    user_id: str
    domain_id: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What the SMTP dialogue said (RFC 5321 §2.3.1)."""

    reverse_path: str  # "" is the null reverse-path of notices
    recipients: tuple[Recipient, ...]
    client: str = ""  # the peer's address, as text
    helo: str = ""
    protocol: str = "ESMTP"  # RFC 3848: SMTP, ESMTP, ESMTPS, UTF8SMTP, ...


class HeaderSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What lists, notices and search need of a mail, read once; every text is valid and bounded."""

    subject: str = ""
    sender: EmailAddress | None = None  # the first mailbox of From:
    to: tuple[EmailAddress, ...] = ()
    cc: tuple[EmailAddress, ...] = ()
    reply_to: tuple[EmailAddress, ...] = ()
    message_id: str = ""  # the header, without angle brackets; senders may repeat it
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    date_ms: int | None = None  # the Date: header; None when absent or unreadable
    preview: str = ""
    has_attachments: bool = False
    parse_failed: bool = False  # delivered raw: nobody could read its structure


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the scanners said, and by which rules; never a guess."""

    outcome: str  # clean | infected | spam | unscannable
    virus: str = ""
    signatures: str = ""  # version of the virus signatures
    spam_score: float = 0.0
    spam_tests: tuple[str, ...] = ()
    rules: str = ""  # version of the spam rules
    spam_scanned_bytes: int = 0  # less than the mail: only its beginning was judged
    detail: str = ""
    unchecked: tuple[str, ...] = ()  # what no scanner looked into: ENCRYPTED, PARTS


ENCRYPTED = "encrypted"  # something is encrypted
PARTS = "parts"  # its parts could not be read within the limits: nothing of them is handed out


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a mail's life."""

    stage: str
    started_at_ms: int
    took_ms: float
    verdict: str
    attempt: int
    worker: str
