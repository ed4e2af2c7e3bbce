"""Limits of what one user submits in a minute, an hour and a day; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from mail.clock import DAY_MS
from mail.ports.submissions import SendingVolume

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingLimit:
    """The most mails and recipients of one user in a sliding period; 0: no limit."""

    name: str  # of the period
    period_ms: int
    mails: int
    recipients: int  # the sum over the mails

    def __str__(self) -> str:
        bounds = ((self.mails, "mails"), (self.recipients, "recipients"))
        return f"{' and '.join(f'{most} {what}' for most, what in bounds if most)} per {self.name}"

    def admits(self, volume: SendingVolume) -> bool:
        """Whether the limit allows `volume` within the period."""
        return (not self.mails or volume.mails <= self.mails) and (
            not self.recipients or volume.recipients <= self.recipients
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingLimits:
    """The limits of every user. A stolen password must not make this server a source of spam."""

    minute: SendingLimit = SendingLimit(
        name="minute", period_ms=MINUTE_MS, mails=30, recipients=200
    )
    hour: SendingLimit = SendingLimit(name="hour", period_ms=HOUR_MS, mails=300, recipients=1_000)
    day: SendingLimit = SendingLimit(name="day", period_ms=DAY_MS, mails=1_000, recipients=2_000)

    @property
    def all(self) -> Sequence[SendingLimit]:
        """The limits with a bound, the longest period first: its end is the longest to wait for."""
        return [
            each for each in (self.day, self.hour, self.minute) if each.mails or each.recipients
        ]

    def recipients_max(self) -> int | None:
        """The most recipients that one mail can ever have; None: no limit."""
        return min((each.recipients for each in self.all if each.recipients), default=None)


def total(volumes: Sequence[SendingVolume]) -> SendingVolume:
    """The sum of `volumes`."""
    return SendingVolume(
        sum(volume.mails for volume in volumes), sum(volume.recipients for volume in volumes)
    )
