"""Rows of the ledger: accepted mails and the state of each for every recipient."""

from typing import Final, Literal

import msgspec

from schemas.ids import MailId, UserId

STORED: Final = "stored"  # in the mailbox, or destroyed there by its owner
QUARANTINED: Final = "quarantined"
REJECTED: Final = "rejected"  # submissions only: reported to the sender
PARKED: Final = "parked"  # a dead letter, until an operator acts
DISCARDED: Final = "discarded"  # by an operator, or by a rule of the owner
IN_FLIGHT: Final = "in_flight"  # its event is in the log
MISSING: Final = "missing"  # in no store and not in the log
TERMINAL: Final = (STORED, QUARANTINED, REJECTED, PARKED, DISCARDED)
OPEN: Final = ""  # not terminal, and not located
EVERYONE = UserId("")  # instead of a user id: all recipients of the mail

GONE: Final = "gone"  # dead letters only: parked in a log that no longer exists
REDRIVEN: Final = "redriven"  # dead letters only: its event was published again
RELEASED: Final = "released"  # quarantine rows only: the mail was published again

RecipientState = Literal[
    "", "stored", "quarantined", "rejected", "parked", "discarded", "in_flight", "missing"
]
QuarantineState = Literal["", "quarantined", "released", "discarded"]
DeadLetterStatus = Literal["parked", "redriven", "discarded", "gone"]


class LogPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where the record of a mail is on mail.received."""

    epoch: str  # of the topic
    partition: int
    offset: int


class AcceptedMail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that was accepted with a 250 reply."""

    mail_id: MailId
    accepted_at_ms: int
    user_ids: tuple[UserId, ...]  # each recipient once
    message_id_header: str = ""  # "" if not known yet
    place: LogPlace | None = None  # None: not known


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A mail in the ledger."""

    mail_id: MailId
    accepted_at_ms: int
    states: dict[UserId, RecipientState]  # user id -> one of TERMINAL, or OPEN
    missing_since_ms: int | None = None
    reopened: int = 0  # number of times


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a check of an open mail.

    `look_at_ms` is the time of the next check; None: the state is terminal for every recipient.
    `reopened` is that of the checked LedgerEntry.
    """

    mail_id: MailId
    states: dict[UserId, RecipientState]
    look_at_ms: int | None = None
    missing_since_ms: int | None = None
    message_id_header: str = ""  # "" keeps the known value
    reopened: int = 0


class DeadLetterState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a dead letter in the ledger; without `mail_id`: an operator's action on it."""

    letter_id: str
    state: DeadLetterStatus
    at_ms: int
    mail_id: MailId = MailId("")
    user_id: UserId = EVERYONE
    ref: str = ""  # of the content that the dead letter needs


class LedgerTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of the open mails of the ledger."""

    open_mails: int
    missing_mails: int
    oldest_open_at_ms: int | None


class MissingDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that is missing for one recipient."""

    mail_id: MailId
    user_id: UserId
    accepted_at_ms: int
    why: str


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an audit. `counts` by state add up to `deliveries`, `lost` included."""

    since_ms: int
    until_ms: int
    mails: int
    deliveries: int  # one for each mail and recipient
    counts: dict[str, int]
    lost: tuple[MissingDelivery, ...]
