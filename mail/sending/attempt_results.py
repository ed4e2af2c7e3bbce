"""Results of recipients: the outcome of an attempt, and when the next attempt follows."""

from dataclasses import dataclass

from mail.ports.mail_transport import RecipientOutcome
from mail.sending.retry_schedule import RetrySchedule
from schemas.events.sending import MailRelay
from schemas.relay import RelayRow
from schemas.submissions import DEFERRED, FAILED, RELAYED, RecipientResult

EXPIRED = "5.4.7"  # delivery time expired (RFC 3463 §3.5)
UNREACHABLE_PHASES = frozenset({"resolve", "connect", "greeting", "ehlo", "tls"})
NO_SLOT = "4.4.5"  # of an outcome that a limit of ours caused


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResults:
    """Results of attempts by a retry schedule.

    `may_give_up`: False while the wall clock is not trusted: no mail is given up for its age then.
    """

    schedule: RetrySchedule
    may_give_up: bool
    now_ms: int

    def of(self, mail: MailRelay, row: RelayRow, outcome: RecipientOutcome) -> RecipientResult:
        """The result of the attempt that `row` counts."""
        match outcome.kind:
            case "relayed":
                return self._final(row, outcome, is_relayed=True)
            case "failed":
                return self._final(row, outcome, is_relayed=False)
            case "deferred":
                return self._deferred(mail, row, outcome)

    def _final(
        self, row: RelayRow, outcome: RecipientOutcome, *, is_relayed: bool
    ) -> RecipientResult:
        return RecipientResult(
            address=row.recipient.address,
            status=RELAYED if is_relayed else FAILED,
            code=outcome.status,
            detail=outcome.text,
            attempts=row.attempts,
            server=server_of(outcome),
            at_ms=self.now_ms,
            reply=outcome.code,
            is_peer_notifying=outcome.dsn_requested,
        )

    def _deferred(
        self, mail: MailRelay, row: RelayRow, outcome: RecipientOutcome
    ) -> RecipientResult:
        """The recipients of a mail share their times, so they share the next transaction too."""
        queued_ms = mail.queued_at_ms if self.may_give_up else self.now_ms
        next_ms = self.schedule.next_attempt_ms(
            row.attempts, seed=mail.mail_id, queued_ms=queued_ms, now_ms=self.now_ms
        )
        is_late = self.schedule.notice_is_due(queued_ms=queued_ms, now_ms=self.now_ms)
        is_expired = next_ms is None
        return RecipientResult(
            address=row.recipient.address,
            status=FAILED if is_expired else DEFERRED,
            code=EXPIRED if is_expired else outcome.status,
            detail=f"Delivery time expired. {outcome.text}" if is_expired else outcome.text,
            attempts=row.attempts,
            next_attempt_at_ms=next_ms,
            server=server_of(outcome),
            at_ms=self.now_ms,
            is_delay=is_late and not is_expired and not row.is_delay_notified,
            reply=outcome.code,
        )


def server_of(outcome: RecipientOutcome) -> str:
    """The peer as `name [address]`; "": no connection was tried."""
    if not outcome.server_name:
        return ""
    return f"{outcome.server_name} [{outcome.server_address}]".removesuffix(" []")


def is_unreachable(outcomes: tuple[RecipientOutcome, ...]) -> bool:
    """Whether the attempt shows that the destination's servers cannot be reached at present."""
    return all(
        outcome.kind == "deferred"
        and outcome.phase in UNREACHABLE_PHASES
        and outcome.status != NO_SLOT
        for outcome in outcomes
    )
