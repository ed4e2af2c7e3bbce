"""What custody keeps: mails that we took, and what has become of each for each of its owners."""

import msgspec

STORED = "stored"  # in the mailbox, or deleted there by its owner
QUARANTINED = "quarantined"
REJECTED = "rejected"  # submissions only: the sender was told
PARKED = "parked"  # in dead letters, waiting for a person
DISCARDED = "discarded"  # an operator or the owner's own rule threw it away
IN_FLIGHT = "in_flight"  # its record waits in the log
MISSING = "missing"  # nowhere
ENDS = (STORED, QUARANTINED, REJECTED, PARKED, DISCARDED)
OPEN = ""  # not known yet
EVERYONE = ""  # in the place of a user id: all owners of the mail

GONE = "gone"  # of a letter only: it was parked in a log that is no longer there
REDRIVEN = "redriven"  # of a letter only: its event is in the river again
RELEASED = "released"  # of a quarantine row only: likewise


class AcceptedMail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that got its 250."""

    mail_id: str
    accepted_at_ms: int
    user_ids: tuple[str, ...]  # each owner once
    message_id_header: str = ""  # "" when not known yet


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A mail in the ledger."""

    mail_id: str
    accepted_at_ms: int
    states: dict[str, str]  # user id -> one of ENDS, or OPEN
    missing_since_ms: int | None = None
    reopened: int = 0  # how often


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at an open mail has found. `look_at_ms` None: every owner's end is known.

    `reopened` is that of the Entry that was looked at.
    """

    mail_id: str
    states: dict[str, str]
    look_at_ms: int | None = None
    missing_since_ms: int | None = None
    message_id_header: str = ""  # "" leaves what is known
    reopened: int = 0


class DeadLetterState(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter as custody sees it, or (without `mail_id`) what a person did with one."""

    letter_id: str
    state: str  # parked | redriven | discarded | gone
    at_ms: int
    mail_id: str = ""
    user_id: str = EVERYONE
    ref: str = ""  # of a content that the letter needs


class LedgerTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Of the ledger's open mails."""

    open_mails: int
    missing_mails: int
    oldest_open_at_ms: int | None


class MissingDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that cannot be accounted for, for one owner."""

    mail_id: str
    user_id: str
    accepted_at_ms: int
    why: str


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """An audit's result: `counts` by state add up to `deliveries`, lost ones included."""

    since_ms: int
    until_ms: int
    mails: int
    deliveries: int  # a mail counts once for each of its owners
    counts: dict[str, int]
    lost: tuple[MissingDelivery, ...]
