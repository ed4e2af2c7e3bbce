"""Relay queue: recipients of other domains, and the state of the delivery to each of them."""

from typing import Final, Literal

import msgspec

from schemas.events.sending import MailRelay
from schemas.ids import CommandId, MailId, UserId
from schemas.submissions import RecipientResult, RequestedRecipient

WAITING: Final = "waiting"  # for its next attempt
HELD: Final = "held"  # by an operator
DONE: Final = "done"  # relayed or failed: never sent again

RelayState = Literal["waiting", "held", "done"]


class RelayRow(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient of a mail in the queue."""

    mail_id: MailId
    destination: str
    recipient: RequestedRecipient
    partition: int  # of mail.relay
    state: RelayState
    next_attempt_at_ms: int
    attempts: int = 0  # begun; a process that was killed leaves an attempt without a result
    claim: str = ""  # of the process that makes an attempt now
    marked_at_ms: int | None = None  # the final dot was or will be sent; its answer is not recorded
    report_id: CommandId = CommandId("")  # of a result that the sender's submission lacks; "": none
    is_delay_notified: bool = False
    result: RecipientResult | None = None  # of the last attempt


class RelayBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A mail and rows of it with the same destination."""

    mail: MailRelay
    rows: tuple[RelayRow, ...]


class RelayOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an attempt: the row as it was claimed, and its result."""

    row: RelayRow
    result: RecipientResult


class RelayReport(msgspec.Struct, frozen=True, kw_only=True):
    """Results of one attempt that are to be reported to the submission."""

    report_id: CommandId
    mail: MailRelay
    results: tuple[RecipientResult, ...]


class RelayedMail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail whose rows of one destination are all done."""

    mail_id: MailId
    destination: str


class QueuedRecipient(msgspec.Struct, frozen=True, kw_only=True):
    """A row and its mail, for operators."""

    row: RelayRow
    mail: MailRelay


class RelayFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows an operator means; an empty condition is met by every row that is not done."""

    mail_id: MailId = MailId("")
    address: str = ""
    destination: str = ""
    user_id: UserId = UserId("")  # the sender
    reason: str = ""  # a part of the last result's code or text
    state: RelayState | Literal[""] = ""
    queued_before_ms: int | None = None


AGES_MS = (3_600_000, 4 * 3_600_000, 24 * 3_600_000, 72 * 3_600_000)  # 1 h, 4 h, 1 day, 3 days
RelayKey = tuple[MailId, str, str]  # mail id, destination, address


class OldestRows(msgspec.Struct, frozen=True, kw_only=True):
    """The oldest of the rows that wait; None: no row waits."""

    queued_at_ms: int | None = None  # when its mail passed the checks
    due_at_ms: int | None = None  # the earliest next attempt; may be in the future


class DestinationLoad(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one destination that are not done, by the age of their mails."""

    destination: str
    rows: int
    held: int
    oldest_queued_at_ms: int
    by_age: tuple[int, ...]  # rows that are at least so old, by AGES_MS
