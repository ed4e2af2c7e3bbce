"""Exclusive access to maildrops (RFC 1939 §4), among all pop3 processes of the service.

A lease is a counted attempt: one is admitted in a window of 60 s, and an open session counts a new
attempt every 20 s before it withdraws the old one. So the lease of a killed process ends within
60 s, and nothing has to be cleaned up. A process that did not run for a minute, or a wall clock
that was set, lets a second session in. Each session has a view of its own, and a message that the
other session deleted gets `-ERR`.
"""

import asyncio
import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable

from mail.clock import now_ms
from mail.errors import Transient
from mail.ids import new_id
from mail.ports import Attempts
from schemas.directory import AttemptLimit, CountedAttempt
from schemas.ids import UserId

log = logging.getLogger(__name__)

LEASE_MS = 60_000
RENEWAL_S = 20.0


class MaildropLeases:
    """The users whose maildrop a session of this process has open; `renew` them all in time."""

    def __init__(self, attempts: Attempts, *, clock_ms: Callable[[], int] = now_ms) -> None:
        self._attempts = attempts
        self._clock_ms = clock_ms
        self._taking: set[UserId] = set()
        self._open: dict[UserId, CountedAttempt] = {}
        self._ending: dict[UserId, asyncio.Task[None]] = {}

    async def take(self, user_id: UserId) -> bool:
        """Take the lease; False: another session has it. After True, `release` must follow.

        Raises StoreUnavailable.
        """
        if user_id in self._taking or user_id in self._open:
            return False
        self._taking.add(user_id)
        attempt = self._attempt([user_id])
        try:
            if ending := self._ending.get(user_id):
                await asyncio.wait([ending])
            limit = AttemptLimit(key=attempt.keys[0], most=1, window_ms=LEASE_MS)
            if await self._attempts.begin(attempt, [limit]):
                return False
            self._open[user_id] = attempt
        except asyncio.CancelledError:
            self._end(user_id, attempt)  # it may have been counted
            raise
        finally:
            self._taking.discard(user_id)
        return True

    def release(self, user_id: UserId) -> None:
        """Release a lease that was taken; `take` and `wait_released` wait for the store."""
        self._end(user_id, self._open.pop(user_id))

    async def renew(self) -> None:
        """Renew the leases in one write. Raises StoreUnavailable: they are as before."""
        before = dict(self._open)
        if not before:
            return
        attempt = self._attempt(before)
        await self._attempts.begin(attempt, [])
        old: dict[tuple[str, int], list[str]] = defaultdict(list)
        for (user_id, known), key in zip(before.items(), attempt.keys, strict=True):
            is_open = self._open.get(user_id) is known
            renewed = CountedAttempt(
                attempt_id=attempt.attempt_id, at_ms=attempt.at_ms, keys=(key,)
            )
            if is_open:
                self._open[user_id] = renewed
            last = known if is_open else renewed
            old[last.attempt_id, last.at_ms].append(key)
        for (attempt_id, at_ms), keys in old.items():
            await self._attempts.withdraw(
                CountedAttempt(attempt_id=attempt_id, at_ms=at_ms, keys=tuple(keys))
            )

    async def wait_released(self) -> None:
        """Wait until the leases that were released are so in the store, or have failed."""
        while self._ending:
            await asyncio.wait(self._ending.values())

    def _end(self, user_id: UserId, attempt: CountedAttempt) -> None:
        task = asyncio.create_task(self._withdraw(user_id, attempt))
        self._ending[user_id] = task

    async def _withdraw(self, user_id: UserId, attempt: CountedAttempt) -> None:
        try:
            await self._attempts.withdraw(attempt)
        except Transient as error:
            log.warning("user %s: the maildrop is released within 60 s: %s", user_id, error)
        finally:
            if self._ending.get(user_id) is asyncio.current_task():
                del self._ending[user_id]

    def _attempt(self, user_ids: Iterable[UserId]) -> CountedAttempt:
        return CountedAttempt(
            attempt_id=new_id(), at_ms=self._clock_ms(), keys=tuple(map(_key, user_ids))
        )


def _key(user_id: UserId) -> str:
    return hashlib.sha256(f"maildrop\0{user_id}".encode()).hexdigest()
