"""Login limiter: the keys under which a sign-in attempt counts, and the limits of each key.

All protocols share the failures, in one `Attempts` port:

- A source is known to a user for 90 days after a sign-in from it. A source is a device (a browser
  with our device cookie), else an exact address, else an IPv6 /64. An attempt from a known source
  is limited by the failures of that source for that user alone. So neither a flood from elsewhere
  nor a neighbour in the same network locks a user out at the usual place.
- Any other attempt is limited by the failures of its networks, and by the failures for the address
  from all networks. An IPv6 peer counts as its /64, /56 and /48, with limits that grow.
- An attempt counts before the password is checked: else concurrent attempts would all pass. It is
  withdrawn unless the password was wrong.

docs/decisions/0035-who-is-held-to-which-sign-in-limit.md weighs this.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from edge.sign_in.login_client import SignInScope
from edge.trusted_networks import networks_of, one_peer
from mail.clock import DAY_MS, now_ms
from mail.errors import Refused
from mail.ids import new_id
from mail.ports import Attempts, SignIns
from schemas.directory import AttemptLimit, CountedAttempt, User
from schemas.ids import UserId

KNOWN_FOR_MS = 90 * DAY_MS  # as long as sign-ins are kept
SUCCESS_WINDOW_MS = 3_600_000
ATTEMPTS_KEPT_MS = SUCCESS_WINDOW_MS  # the longest window


class LoginRateLimited(Refused):
    """The limit of a key is reached; the next attempt may pass after `wait_ms`."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__("too many attempts to sign in")
        self.wait_ms = wait_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginLimits:
    """Failures per window, and successful sign-ins per hour."""

    per_source: int = 10  # of one known source, or of one peer (an IPv6 /64), for one address
    per_peer: int = 30  # of one peer for all addresses; an IPv6 /56 twice as many, a /48 four times
    per_address: int = 200  # of all peers for one address
    window_ms: int = 900_000  # of the failures
    # Successes are limited per hour, for one user from one peer by one protocol:
    sessions: int = 20  # sign-ins that begin a session
    connections: int = 1_200  # sign-ins for one connection: five a minute by each of four programs


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAttempt:
    """One attempt: the address as typed, the protocol, the peer, and the source if it is known.

    `source`: kind and name of the known source; () when the source is unknown.
    `scope`: what the client asks for, on which the limit of successes depends.
    """

    address: str
    protocol: str
    peer: str
    source: tuple[str, ...] = ()
    scope: SignInScope = "account"


class PasswordResult:
    """The result of the check, which the caller sets in the block of `LoginLimiter.attempt`."""

    is_wrong = False


class LoginLimiter:
    """Counts and limits attempts. Every method raises StoreUnavailable: none passes uncounted."""

    def __init__(self, attempts: Attempts, sign_ins: SignIns, rules: LoginLimits) -> None:
        self._attempts = attempts
        self._sign_ins = sign_ins
        self._rules = rules

    async def attempt_of(
        self,
        address: str,
        user: User | None,
        *,
        protocol: str,
        peer: str,
        device: str = "",
        scope: SignInScope = "account",
    ) -> LoginAttempt:
        """The attempt for `address`, with the source if `user` has signed in from it.

        An address without a user costs the same look-up. `device`: SHA-256 of the device's token,
        "" without a device.
        """
        known = await self._sign_ins.sign_in_sources(
            user.user_id if user else UserId(""), since_ms=now_ms() - KNOWN_FOR_MS
        )
        source = _known_source(known, peer, device) if user else ()
        return LoginAttempt(
            address=address, protocol=protocol, peer=peer, source=source, scope=scope
        )

    async def admit(self, attempt: LoginAttempt) -> None:
        """Count nothing. Raises LoginRateLimited: `attempt` would be refused now."""
        wait_ms = await self._attempts.wait_ms(self._limits(attempt), at_ms=now_ms())
        if wait_ms:
            raise LoginRateLimited(wait_ms)

    @asynccontextmanager
    async def attempt(self, attempt: LoginAttempt) -> AsyncIterator[PasswordResult]:
        """Count `attempt` for the check of the password within the block.

        The attempt stays counted if the block sets `is_wrong`, and is withdrawn otherwise: the
        password was right, or the check failed. Raises LoginRateLimited.
        """
        counted = _counted(self._failures(attempt))
        wait_ms = await self._attempts.begin(counted, self._limits(attempt))
        if wait_ms:
            raise LoginRateLimited(wait_ms)
        result = PasswordResult()
        try:
            yield result
        finally:
            if not result.is_wrong:
                await self._attempts.withdraw(counted)

    async def succeeded(self, attempt: LoginAttempt) -> None:
        """Count a successful sign-in. Raises LoginRateLimited: too many in the last hour."""
        limits = self._successes(attempt)
        wait_ms = await self._attempts.begin(_counted(limits), limits)
        if wait_ms:
            raise LoginRateLimited(wait_ms)

    def _limits(self, attempt: LoginAttempt) -> list[AttemptLimit]:
        return self._failures(attempt) + self._successes(attempt)

    def _failures(self, attempt: LoginAttempt) -> list[AttemptLimit]:
        """The keys under which the attempt counts as a failure, with their limits."""
        rules, address = self._rules, attempt.address
        if attempt.source:
            return [self._limit(rules.per_source, *attempt.source, address)]
        limits = [self._limit(rules.per_address, "address", address)]
        for factor, network in enumerate(networks_of(attempt.peer)):
            limits += [
                self._limit(rules.per_source * 2**factor, "network", network, address),
                self._limit(rules.per_peer * 2**factor, "network", network),
            ]
        return limits

    def _successes(self, attempt: LoginAttempt) -> list[AttemptLimit]:
        """The key under which the attempt counts as a success, with its limit."""
        key = _key("success", attempt.protocol, one_peer(attempt.peer), attempt.address)
        rules = self._rules
        most = rules.sessions if attempt.scope == "account" else rules.connections
        return [AttemptLimit(key=key, most=most, window_ms=SUCCESS_WINDOW_MS)]

    def _limit(self, most: int, *words: str) -> AttemptLimit:
        return AttemptLimit(key=_key(*words), most=most, window_ms=self._rules.window_ms)


def _known_source(sign_ins: list[tuple[str, str]], peer: str, device: str) -> tuple[str, ...]:
    """The narrowest known source: device, address or /64; () without a match.

    `sign_ins`: peer and device of successful sign-ins. The kind is part of the key: failures of
    unknown sources count under the networks of their peers.
    """
    if device and any(device == known for _, known in sign_ins):
        return "device", device
    if any(peer == known for known, _ in sign_ins):
        return "host", peer
    if any(one_peer(peer) == one_peer(known) for known, _ in sign_ins):
        return "network", one_peer(peer)
    return ()


def _counted(limits: list[AttemptLimit]) -> CountedAttempt:
    """A new attempt that counts under the keys of `limits`."""
    keys = tuple(limit.key for limit in limits)
    return CountedAttempt(attempt_id=new_id(), at_ms=now_ms(), keys=keys)


def _key(*words: str) -> str:
    """An opaque key of 128 bits: the address as typed may have been a password."""
    text = "\0".join(words).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()
