"""Sending limiter: holds every user to the limits of mails and recipients, before any work.

The limits of the user, the domain, or the configuration (mail/sending/own_limits.py) are read for
each mail.

The store has what all edges submitted. A mail is in the store some milliseconds after its event is
in the log, or later while the stage `submission` waits; until then the limiter of its process
counts it as in flight. So one process never admits more than the limits, and several together
exceed them at most by what each has in flight.

Every edge asks with the id that it proposes for the mail:

    await limiter.admit(user, mail_id, recipients=len(recipients))  # raises SendingRateLimited
    ... publish Submit; if it was not published for certain: limiter.release(mail_id)
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from edge.expiring_dict import ExpiringDict
from mail.clock import DAY_MS, now_ms
from mail.errors import Refused
from mail.ports.submissions import SendingVolume, Submissions
from mail.sending.own_limits import OwnLimits
from mail.sending.sending_limits import SendingLimit, SendingLimits, total
from schemas.directory import User
from schemas.ids import MailId, SubmissionId, UserId

IN_FLIGHT_MAX_MS = 3_600_000  # a mail whose fate is unknown counts for this time
LOOKED_FOR_MAX = 20  # mails in flight that one call looks for in the store
REMEMBERED_MAX_MS = 60_000  # a refusal is repeated without reading for this time at most
USERS_MAX = 10_000  # whose refusals are remembered
REPORTED_MAX = 20  # users in the warnings
_STEPS = 6  # halvings of a period: the time to wait is exact to a 64th of it


class SendingRateLimited(Refused):
    """The user reached a limit; the mail may be sent after `retry_after_s`.

    A mail with more recipients than a limit can never be sent; its time is that of the period.
    """

    def __init__(self, limit: SendingLimit, retry_after_s: int) -> None:
        super().__init__(f"The limit of {limit} is reached.")
        self.limit = limit
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class _InFlight:
    """A mail that was admitted and is not in the store yet."""

    at_ms: int
    recipients: int


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A refusal that holds until `until_ms` for mails with as many `recipients` or more."""

    limit: SendingLimit
    recipients: int
    until_ms: int
    remembered_until_ms: int


class SendingLimiter:
    """Admits mails for one process."""

    def __init__(
        self, submissions: Submissions, limits: OwnLimits, *, now_ms: Callable[[], int] = now_ms
    ) -> None:
        self._submissions = submissions
        self._limits = limits
        self._now_ms = now_ms
        self._in_flight: dict[UserId, OrderedDict[MailId, _InFlight]] = {}
        self._users: dict[MailId, UserId] = {}
        self._refusals: OrderedDict[UserId, _Refusal] = OrderedDict()
        self._at_day_limit: ExpiringDict[str, SendingLimit] = ExpiringDict(
            keep_s=DAY_MS / 1000, entries_max=REPORTED_MAX, clock=lambda: self._now_ms() / 1000
        )

    async def check(self, user: User, *, recipients: int = 1) -> SendingLimits:
        """The limits of the user, which allow a mail now; count nothing.

        Raises SendingRateLimited, StoreUnavailable.
        """
        return await self._check(user, SendingVolume(1, recipients), before=None)

    async def admit(self, user: User, mail_id: MailId, *, recipients: int) -> None:
        """Count a mail as in flight. Of concurrent calls, the earliest are admitted.

        Raises SendingRateLimited, StoreUnavailable: the mail does not count.
        """
        now_ms = self._now_ms()
        self._in_flight.setdefault(user.user_id, OrderedDict())[mail_id] = _InFlight(
            now_ms, recipients
        )
        self._users[mail_id] = user.user_id
        try:
            await self._check(user, SendingVolume(1, recipients), before=mail_id)
        except BaseException:
            self.release(mail_id)
            raise

    def release(self, mail_id: MailId) -> None:
        """Uncount a mail that was not submitted. Safe to repeat; unknown ids have no effect."""
        user_id = self._users.pop(mail_id, None)
        if user_id is not None:
            mails = self._in_flight[user_id]
            del mails[mail_id]
            if not mails:
                del self._in_flight[user_id]

    def warnings(self) -> list[str]:
        """A sentence for each user that reached the limit of a day within the last day."""
        return [
            f"{address} reached the limit of {limit}: a program, or a stolen password?"
            for address in self._at_day_limit
            if (limit := self._at_day_limit.get(address))
        ]

    async def _check(self, user: User, more: SendingVolume, before: MailId | None) -> SendingLimits:
        """The limits, if `more` fits besides mails in flight `before` it.

        Raises SendingRateLimited, StoreUnavailable.
        """
        self._repeat_refusal(user.user_id, more.recipients)
        limits = await self._limits.of(user)
        if limits.all:
            await self._forget_stored(user.user_id, before)
        for limit in limits.all:
            if not await self._fits(user.user_id, limit, more, before, waited_ms=0):
                raise await self._refused(user, limit, more, before)
        return limits

    def _repeat_refusal(self, user_id: UserId, recipients: int) -> None:
        """Raise the last refusal again while it holds: a client that repeats costs no reading."""
        refusal = self._refusals.get(user_id)
        if refusal is None or recipients < refusal.recipients:
            return
        now_ms = self._now_ms()
        if now_ms < refusal.remembered_until_ms:
            raise SendingRateLimited(refusal.limit, math.ceil((refusal.until_ms - now_ms) / 1000))
        del self._refusals[user_id]

    async def _forget_stored(self, user_id: UserId, before: MailId | None) -> None:
        """Uncount mails that are in the store, or whose fate stays unknown."""
        oldest_ms = self._now_ms() - IN_FLIGHT_MAX_MS
        mails = list(self._in_flight.get(user_id, {}).items())
        for mail_id, mail in mails:
            if mail.at_ms < oldest_ms:
                self.release(mail_id)
        for mail_id, _ in mails[:LOOKED_FOR_MAX]:
            if mail_id != before and await self._submissions.get(SubmissionId(mail_id)):
                self.release(mail_id)

    async def _fits(
        self,
        user_id: UserId,
        limit: SendingLimit,
        more: SendingVolume,
        before: MailId | None,
        *,
        waited_ms: int,
    ) -> bool:
        """Whether `more` fits the limit after `waited_ms`, if nothing else is sent meanwhile.

        Mails in flight are summed before the store is read: a mail that moves to the store in
        between counts twice, never not at all.
        """
        since_ms = self._now_ms() - limit.period_ms + waited_ms
        moving = self._moving(user_id, since_ms, before)
        stored = await self._submissions.volume(user_id, since_ms=since_ms)
        return limit.admits(total([stored, moving, more]))

    def _moving(self, user_id: UserId, since_ms: int, before: MailId | None) -> SendingVolume:
        """The user's mails in flight since then; with `before`, those admitted before it."""
        volumes = []
        for mail_id, mail in self._in_flight.get(user_id, {}).items():
            if mail_id == before:
                break
            if mail.at_ms >= since_ms:
                volumes.append(SendingVolume(1, mail.recipients))
        return total(volumes)

    async def _refused(
        self, user: User, limit: SendingLimit, more: SendingVolume, before: MailId | None
    ) -> SendingRateLimited:
        """The error for a limit that is reached, with the time until `more` fits."""
        fails_ms, fits_ms = 0, limit.period_ms
        for _ in range(_STEPS):
            middle_ms = (fails_ms + fits_ms) // 2
            if await self._fits(user.user_id, limit, more, before, waited_ms=middle_ms):
                fits_ms = middle_ms
            else:
                fails_ms = middle_ms
        if limit.period_ms == DAY_MS:
            self._at_day_limit.set(user.address, limit)
        now_ms = self._now_ms()
        remembered_ms = min(fits_ms, REMEMBERED_MAX_MS)
        self._refusals[user.user_id] = _Refusal(
            limit, more.recipients, now_ms + fits_ms, now_ms + remembered_ms
        )
        while len(self._refusals) > USERS_MAX:
            self._refusals.popitem(last=False)
        return SendingRateLimited(limit, max(1, math.ceil(fits_ms / 1000)))
