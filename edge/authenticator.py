"""Authenticator: address, password and client in, user out; the same for every protocol.

Wrong passwords by all protocols count in one LoginLimiter. argon2 runs on threads, `at_once` at a
time, in fair turns among networks. An unknown address, a wrong password and a disabled user cost
the same time and raise the same error. A server maps the errors to replies of its protocol:

| error | HTTP | SMTP (RFC 4954 §6) | IMAP (RFC 5530) |
| --- | --- | --- | --- |
| WrongCredentials | 401 | 535 5.7.8 | NO [AUTHENTICATIONFAILED] |
| LoginRateLimited | 429 | 454 4.7.0 | NO [LIMIT] |
| Transient | 503 | 454 4.7.0 | NO [UNAVAILABLE] |
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from edge.fair_turns import FairTurns, QueueFull
from edge.login_limiter import LoginAttempt, LoginLimiter, LoginRateLimited
from edge.trusted_networks import one_network
from mail.addresses import normal_address
from mail.clock import now_ms
from mail.directory.passwords import hash_password, verify_password
from mail.errors import BadAddress, Refused, Transient
from mail.ids import new_id
from mail.ports import SignIns, Users
from schemas.directory import (
    SignIn,
    SignInOutcome,
    User,
)
from schemas.ids import UserId

USER_AGENT_MAX_CHARS = 200
T = TypeVar("T")


class WrongCredentials(Refused):
    """Unknown address, wrong password or disabled user: the error does not say which."""

    def __init__(self) -> None:
        super().__init__("address or password is wrong")


class AuthenticatorBusy(Transient):
    """All places to wait for a password check are taken. The attempt is not counted."""

    def __init__(self) -> None:
        super().__init__("password check", "too many wait")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginClient:
    """The program that signs in."""

    protocol: str  # http, submission, pop3, imap: successful sign-ins are limited for each
    peer: str  # IP address, as edge/trusted_networks.plain_address writes it
    user_agent: str = ""  # from `clean_user_agent`; shown to the user
    device: str = ""  # SHA-256 of the device's token; "": the protocol has none


def clean_user_agent(text: str) -> str:
    """The printable characters among the first USER_AGENT_MAX_CHARS of `text`."""
    return "".join(char for char in text[:USER_AGENT_MAX_CHARS] if char.isprintable())


class Authenticator:
    """Checks and hashes passwords: `at_once` at a time, `waiting_max` waiting.

    argon2 takes 64 MiB and one core for each of `at_once`.
    """

    def __init__(
        self,
        users: Users,
        sign_ins: SignIns,
        limiter: LoginLimiter,
        *,
        at_once: int,
        waiting_max: int,
    ) -> None:
        self._users = users
        self._sign_ins = sign_ins
        self._limiter = limiter
        self._turns = FairTurns(at_once, waiting_max)
        # Threads apart from the event loop's pool, which serves short work.
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="argon2")

    def close(self) -> None:
        """Drop the checks that wait; checks that run end on their threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def authenticate(self, address: str, password: str, client: LoginClient) -> User:
        """Return the user whose address and password these are, and record the sign-in.

        Raises WrongCredentials, also when the user was disabled or got another password during the
        check; LoginRateLimited: too many failures, or too many successes; AuthenticatorBusy;
        StoreUnavailable.
        """
        normal = _normal_address(address)
        user = await self._users.user_by_address(normal) if normal else None
        attempt = await self._limiter.attempt_of(
            normal or address,
            user,
            protocol=client.protocol,
            peer=client.peer,
            device=client.device,
        )
        password_hash = user.password_hash if user and not user.disabled else ""
        if not await self._verify(attempt, password_hash, password) or user is None:
            await self._record_failure(attempt, user, client)
            raise WrongCredentials
        await self._limiter.succeeded(attempt)
        if not await self.is_current(user):
            raise WrongCredentials
        await self._record("success", user, client)
        return user

    async def confirm(
        self, user: User, password: str, client: LoginClient, *, session_sha256: str
    ) -> None:
        """Check the password of a user who is signed in.

        Attempts are limited by session, so that a stolen session does not help to guess the
        password. Raises as `authenticate` does.
        """
        attempt = LoginAttempt(
            address=normal_address(user.address),
            protocol=client.protocol,
            peer=client.peer,
            source=("session", session_sha256),
        )
        if not await self._verify(attempt, user.password_hash, password):
            await self._record_failure(attempt, user, client)
            raise WrongCredentials

    async def hash(self, password: str, client: LoginClient) -> str:
        """The hash to store for `password`. Raises AuthenticatorBusy."""
        try:
            async with self._turns.turn(one_network(client.peer)):
                return await self._run(lambda: hash_password(password))
        except QueueFull:
            raise AuthenticatorBusy from None

    async def is_current(self, user: User) -> bool:
        """Whether `user` is enabled and has the same password still."""
        stored = await self._users.user(user.user_id)
        return (
            stored is not None
            and not stored.disabled
            and stored.password_hash == user.password_hash
        )

    async def _verify(self, attempt: LoginAttempt, password_hash: str, password: str) -> bool:
        """Whether `password` made `password_hash`; "" (no such user) is wrong at the same cost.

        Turns are fair among the widest networks: one IPv6 site has thousands of narrower networks.
        Only a wrong password counts as a failure.
        """
        await self._limiter.admit(attempt)
        try:
            async with (
                self._turns.turn(one_network(attempt.peer)),
                self._limiter.attempt(attempt) as result,
            ):
                matches = await self._run(lambda: verify_password(password_hash, password))
                result.is_wrong = not matches
        except QueueFull:
            raise AuthenticatorBusy from None
        return matches

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _record_failure(
        self, attempt: LoginAttempt, user: User | None, client: LoginClient
    ) -> None:
        """Record a wrong password, and a lockout if the next attempt will be refused."""
        await self._record("failure", user, client)
        try:
            await self._limiter.admit(attempt)
        except LoginRateLimited:
            await self._record("lockout", user, client)

    async def _record(self, outcome: SignInOutcome, user: User | None, client: LoginClient) -> None:
        """Add a row to the sign-ins of `user`.

        An unknown address gets a row too: else the time would reveal which addresses exist. The
        device of a failure is not stored: it is not known to belong to the user.
        """
        await self._sign_ins.add_sign_in(
            SignIn(
                sign_in_id=new_id(),
                user_id=user.user_id if user else UserId(""),
                at_ms=now_ms(),
                outcome=outcome,
                peer=client.peer,
                user_agent=client.user_agent,
                device=client.device if outcome == "success" else "",
            )
        )


def _normal_address(address: str) -> str | None:
    try:
        return normal_address(address)
    except BadAddress:
        return None
