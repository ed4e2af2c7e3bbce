"""Limits of signing in: which attempts count under which keys, and which of them are refused.

The rules, for HTTP now and for AUTH of SMTP and IMAP, over one `Attempts` port:

- A source is known to a user for 90 days after a sign-in from it: a device (a browser that has our
  device cookie), else an exact address, else an IPv6 /64. An attempt from a known source is held to
  that source's failures for that user alone. So neither a flood from elsewhere nor a neighbour in
  the same network locks an owner out where she usually signs in.
- All other attempts are held to the failures of their networks and of the address, wherever those
  came from. An IPv6 peer is its /64, /56 and /48, with limits that grow.
- An attempt counts before the password is checked, else attempts made at once would all pass. It is
  withdrawn unless the password was wrong.

docs/decisions/0035-who-is-held-to-which-sign-in-limit.md weighs this.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from edge.trusted_networks import networks_of, one_peer
from mail.clock import DAY_MS, now_ms
from mail.errors import Refused
from mail.ids import new_id
from mail.ports import Attempts, SignIns
from schemas.directory import AttemptLimit, CountedAttempt, User

KNOWN_FOR_MS = 90 * DAY_MS  # as long as sign-ins are kept
SUCCESS_WINDOW_MS = 3_600_000
ATTEMPTS_KEPT_MS = SUCCESS_WINDOW_MS  # the longest window


class LoginRateLimited(Refused):
    """Wait `wait_ms` before the next attempt."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__("too many attempts to sign in")
        self.wait_ms = wait_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginLimits:
    """Limits of each window; failures but for the last."""

    per_source: int = 10  # of one known source, or of one peer (an IPv6 /64), for one address
    per_peer: int = 30  # of one peer for all addresses; an IPv6 /56 twice as many, a /48 four times
    per_address: int = 200  # of all peers for one address
    window_ms: int = 900_000
    successes: int = 20  # an hour, of one user from one peer by one protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAttempt:
    """Who tries: the address typed, the peer, and the keys under which failures count.

    `source` names the known source; () for an unknown one.
    """

    address: str
    protocol: str
    peer: str
    source: tuple[str, ...] = ()


class PasswordResult:
    """The caller's word about the password, at the end of the block of `LoginLimiter.attempt`."""

    is_wrong = False


class LoginLimiter:
    """Counts and limits attempts. StoreUnavailable: nothing is let in uncounted."""

    def __init__(self, attempts: Attempts, sign_ins: SignIns, rules: LoginLimits) -> None:
        self._attempts = attempts
        self._sign_ins = sign_ins
        self._rules = rules

    async def attempt_of(
        self, address: str, user: User | None, *, protocol: str, peer: str, device: str = ""
    ) -> LoginAttempt:
        """Look up whether the source is known; at the same cost for an address that no user has.

        `device` is the SHA-256 of the device's token, "" without one.
        """
        found = await self._sign_ins.sign_in_sources(
            user.user_id if user else "", since_ms=now_ms() - KNOWN_FOR_MS
        )
        source = _known_source(found, peer, device) if user else ()
        return LoginAttempt(address=address, protocol=protocol, peer=peer, source=source)

    async def admit(self, one: LoginAttempt) -> None:
        """LoginRateLimited: the next attempt would be refused. Nothing is counted."""
        wait_ms = await self._attempts.wait_ms(self._limits(one), at_ms=now_ms())
        if wait_ms:
            raise LoginRateLimited(wait_ms)

    @asynccontextmanager
    async def attempt(self, one: LoginAttempt) -> AsyncIterator[PasswordResult]:
        """Check the password within the block; set `is_wrong` when it was. LoginRateLimited.

        The attempt is withdrawn in every other case: the password was right, or nothing is known.
        """
        counted = CountedAttempt(
            attempt_id=new_id(), at_ms=now_ms(), keys=_keys(self._failures(one))
        )
        wait_ms = await self._attempts.begin(counted, self._limits(one))
        if wait_ms:
            raise LoginRateLimited(wait_ms)
        verdict = PasswordResult()
        try:
            yield verdict
        finally:
            if not verdict.is_wrong:
                await self._attempts.withdraw(counted)

    async def succeeded(self, one: LoginAttempt) -> None:
        """Count a sign-in."""
        counted = CountedAttempt(
            attempt_id=new_id(), at_ms=now_ms(), keys=_keys(self._successes(one))
        )
        await self._attempts.begin(counted, ())

    def _limits(self, one: LoginAttempt) -> list[AttemptLimit]:
        return self._failures(one) + self._successes(one)

    def _failures(self, one: LoginAttempt) -> list[AttemptLimit]:
        rules = self._rules
        if one.source:
            return [self._limit(rules.per_source, *one.source, one.address)]
        limits = [self._limit(rules.per_address, "address", one.address)]
        for factor, network in enumerate(networks_of(one.peer)):
            limits += [
                self._limit(rules.per_source * 2**factor, "network", network, one.address),
                self._limit(rules.per_peer * 2**factor, "network", network),
            ]
        return limits

    def _successes(self, one: LoginAttempt) -> list[AttemptLimit]:
        peer, most = one_peer(one.peer), self._rules.successes
        key = _key("success", one.protocol, peer, one.address)
        return [AttemptLimit(key=key, most=most, window_ms=SUCCESS_WINDOW_MS)]

    def _limit(self, most: int, *words: str) -> AttemptLimit:
        return AttemptLimit(key=_key(*words), most=most, window_ms=self._rules.window_ms)


def _known_source(found: list[tuple[str, str]], peer: str, device: str) -> tuple[str, ...]:
    """The narrowest that is known. Strangers' failures count under the key of a network too."""
    if device and any(device == known for _, known in found):
        return "device", device
    if any(peer == known for known, _ in found):
        return "host", peer
    if any(one_peer(peer) == one_peer(known) for known, _ in found):
        return "network", one_peer(peer)
    return ()


def _keys(limits: list[AttemptLimit]) -> tuple[str, ...]:
    return tuple(limit.key for limit in limits)


def _key(*words: str) -> str:
    """Opaque: what was typed as an address may have been a password."""
    text = "\0".join(words).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()
