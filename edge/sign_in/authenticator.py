"""Authenticator: address, password and client in, user out; the same for every protocol.

A client asks for a scope. The account's password has every scope; an application password has
`read`, `send` or both, and is accepted in the same field. An application password is looked up by
its hash. Every other password is compared with the password cache, then checked by argon2.

Wrong passwords by all protocols count in one LoginLimiter. An unknown address, a wrong password and
a disabled user cost the same time and raise the same error. An application password without the
scope raises the same error sooner: its holder knows that the password is right. A server maps the
errors to replies of its protocol:

| error | HTTP | SMTP (RFC 4954 §6) | IMAP (RFC 5530) | POP3 (RFC 2449, RFC 3206) |
| --- | --- | --- | --- | --- |
| WrongCredentials | 401 | 535 5.7.8 | NO [AUTHENTICATIONFAILED] | -ERR [AUTH] |
| LoginRateLimited | 429 | 454 4.7.0 | NO [LIMIT] | -ERR [LOGIN-DELAY] |
| Transient | 503 | 454 4.7.0 | NO [UNAVAILABLE] | -ERR [SYS/TEMP] |

A long connection calls `is_current` every 30 s, as push sockets check their session, and ends when
the answer is False.
"""

from dataclasses import dataclass, field

from edge.fair_turns import FairTurns, QueueFull
from edge.sign_in.login_client import LoginClient, SignInScope
from edge.sign_in.login_limiter import LoginAttempt, LoginLimiter, LoginLimits, LoginRateLimited
from edge.sign_in.password_cache import CachedPassword, PasswordCache
from edge.sign_in.password_checks import PasswordChecks
from edge.sign_in.sign_in_log import SignInLog, sign_in_of
from edge.trusted_networks import one_network
from mail.addresses import normal_address
from mail.directory.app_passwords import canonical_secret, secret_sha256
from mail.errors import BadAddress, Refused, Transient
from mail.ports import AppPasswords, Attempts, SignIns, Users
from schemas.directory import AppPassword, User
from schemas.ids import UserId

USE_RECORDED_AFTER_MS = 3_600_000  # of an application password: one write an hour at most
# A comparison with the cache takes milliseconds and counts as an attempt meanwhile. Those of one
# user run one at a time: else many connections at once would reach the limit of failures.
_COMPARISONS = 64
_COMPARISONS_WAITING = 1024


class WrongCredentials(Refused):
    """Unknown address, wrong password, missing scope or disabled user: it does not say which."""

    def __init__(self) -> None:
        super().__init__("address or password is wrong")


class AuthenticatorBusy(Transient):
    """All places to wait for a password check are taken.

    The attempt is not counted, unless the password cache shows that the password is wrong.
    """

    def __init__(self) -> None:
        super().__init__("password check", "too many wait")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPorts:
    """The ports of the authenticator, all of which a directory implements."""

    users: Users
    app_passwords: AppPasswords
    sign_ins: SignIns


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A user, and the password that was used."""

    user: User
    app_password: AppPassword | None = None  # None: the account's password


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorConfig:
    """Limits of sign-ins, of password checks and of the password cache of one process."""

    limits: LoginLimits = field(default_factory=LoginLimits)
    checks_at_once: int = 2  # argon2 takes 64 MiB and a core each
    checks_waiting: int = 64  # in fair turns among networks
    cache_s: float = 300.0  # 0: no cache
    cache_max: int = 10_000  # users


class Authenticator:
    """Checks and hashes passwords for one process."""

    def __init__(
        self,
        ports: SignInPorts,
        limiter: LoginLimiter,
        checks: PasswordChecks,
        cache: PasswordCache,
    ) -> None:
        self._ports = ports
        self._log = SignInLog(ports.sign_ins)
        self._limiter = limiter
        self._checks = checks
        self._cache = cache
        self._comparisons = FairTurns(_COMPARISONS, _COMPARISONS_WAITING, slots_per_key=1)

    def close(self) -> None:
        """Drop the checks that wait; checks that run end on their threads."""
        self._checks.close()

    async def authenticate(
        self, address: str, password: str, client: LoginClient, *, scope: SignInScope = "account"
    ) -> SignedIn:
        """Return the user whose address and password these are, and record the sign-in.

        Raises WrongCredentials, also when the user was disabled or the password was changed or
        revoked during the check; LoginRateLimited: too many failures, or too many successes;
        AuthenticatorBusy; StoreUnavailable.
        """
        normal = _normal_address(address)
        user = await self._ports.users.user_by_address(normal) if normal else None
        attempt = await self._limiter.attempt_of(
            normal or address,
            user,
            protocol=client.protocol,
            peer=client.peer,
            device=client.device,
            scope=scope,
        )
        enabled = user if user and _may_sign_in(user) else None
        app_password = await self._app_password(enabled, password)
        matches = app_password is not None or await self._matches(attempt, enabled, password)
        if not matches or enabled is None:
            await self._record_failure(attempt, user, client)
            raise WrongCredentials
        await self._limiter.succeeded(attempt)
        signed_in = SignedIn(user=enabled, app_password=app_password)
        await self._finish(signed_in, client, scope)
        return signed_in

    async def confirm(
        self, user: User, password: str, client: LoginClient, *, session_sha256: str
    ) -> None:
        """Check the account's password of a user who is signed in.

        Attempts are limited by session, so that a stolen session does not help to guess the
        password. Raises as `authenticate` does.
        """
        attempt = LoginAttempt(
            address=normal_address(user.address),
            protocol=client.protocol,
            peer=client.peer,
            source=("session", session_sha256),
        )
        if not await self._matches(attempt, user, password):
            await self._record_failure(attempt, user, client)
            raise WrongCredentials

    async def hash(self, password: str, client: LoginClient) -> str:
        """The hash to store for `password`. Raises AuthenticatorBusy."""
        try:
            async with self._checks.turn(client.peer):
                return await self._checks.hash(password)
        except QueueFull:
            raise AuthenticatorBusy from None

    async def is_current(self, signed_in: SignedIn) -> bool:
        """Whether the user is enabled, and the password that was used is valid still."""
        user = await self._ports.users.user(signed_in.user.user_id)
        if user is None or not _may_sign_in(user):
            return False
        used = signed_in.app_password
        if used is None:
            return user.password_hash == signed_in.user.password_hash
        stored = await self._ports.app_passwords.app_password(user.user_id, used.secret_sha256)
        return stored is not None

    async def _app_password(self, user: User | None, password: str) -> AppPassword | None:
        """The application password of `user` that `password` is.

        Whether the directory is asked depends on the form of `password` alone. The look-up needs no
        limit: 120 random bits cannot be guessed.
        """
        canonical = canonical_secret(password)
        if canonical is None:
            return None
        user_id = user.user_id if user else UserId("")
        sha256 = secret_sha256(user_id, canonical)
        return await self._ports.app_passwords.app_password(user_id, sha256)

    async def _matches(self, attempt: LoginAttempt, user: User | None, password: str) -> bool:
        """Whether `password` is the account's password; None (no such user) costs the same."""
        await self._limiter.admit(attempt)
        cached = self._cache.of(user) if user else None
        try:
            if cached is None:
                return await self._check(attempt, user, password)
            return await self._compare(attempt, cached, password)
        except QueueFull:
            raise AuthenticatorBusy from None

    async def _check(self, attempt: LoginAttempt, user: User | None, password: str) -> bool:
        """Check by argon2. Only a wrong password counts as a failure.

        The first of several connections at once may have filled the cache while this call waited.
        """
        async with self._checks.turn(attempt.peer), self._limiter.attempt(attempt) as result:
            cached = self._cache.of(user) if user else None
            if cached is not None:
                result.is_wrong = not cached.matches(password)
                if not result.is_wrong:
                    return True
            matches = await self._checks.matches(user.password_hash if user else "", password)
            result.is_wrong = not matches
        if matches and user:
            self._cache.add(user, password)
        return matches

    async def _compare(self, attempt: LoginAttempt, cached: CachedPassword, password: str) -> bool:
        """Compare with the cached password; a mismatch takes the time of argon2 too.

        The attempt counts before the comparison, and a mismatch stays counted even if no place to
        wait is free: else a client that fills all places could guess without a limit.
        """
        user = cached.user
        async with (
            self._comparisons.turn(user.user_id),
            self._limiter.attempt(attempt) as result,
        ):
            matches = cached.matches(password)
            result.is_wrong = not matches
        if not matches:
            async with self._checks.turn(attempt.peer):
                await self._checks.matches(user.password_hash, password)
        return matches

    async def _finish(self, signed_in: SignedIn, client: LoginClient, scope: SignInScope) -> None:
        """Record the sign-in. Raises WrongCredentials: not current, or without the scope."""
        if not await self.is_current(signed_in):
            raise WrongCredentials
        user, used = signed_in.user, signed_in.app_password
        if used is not None and scope not in used.scopes:
            row = sign_in_of("failure", user, client, app_password=used, missing_scope=scope)
            await self._log.add_hourly(row)
            raise WrongCredentials
        row = sign_in_of("success", user, client, app_password=used)
        await (self._log.add(row) if scope == "account" else self._log.add_hourly(row))
        if used is not None and row.at_ms - used.used_at_ms >= USE_RECORDED_AFTER_MS:
            await self._ports.app_passwords.use_app_password(
                used.app_password_id,
                at_ms=row.at_ms,
                protocol=client.protocol,
                network=one_network(client.peer),
            )

    async def _record_failure(
        self, attempt: LoginAttempt, user: User | None, client: LoginClient
    ) -> None:
        """Record a wrong password, and a lockout if the next attempt will be refused.

        An unknown address gets a row too: else the time would reveal which addresses exist.
        """
        await self._log.add(sign_in_of("failure", user, client))
        try:
            await self._limiter.admit(attempt)
        except LoginRateLimited:
            await self._log.add(sign_in_of("lockout", user, client))


def make_authenticator(
    ports: SignInPorts, attempts: Attempts, config: AuthenticatorConfig
) -> Authenticator:
    """The authenticator of a server process."""
    return Authenticator(
        ports,
        LoginLimiter(attempts, ports.sign_ins, config.limits),
        PasswordChecks(at_once=config.checks_at_once, waiting_max=config.checks_waiting),
        PasswordCache(keep_s=config.cache_s, entries_max=config.cache_max),
    )


def _may_sign_in(user: User) -> bool:
    return bool(user.password_hash) and not user.disabled


def _normal_address(address: str) -> str | None:
    try:
        return normal_address(address)
    except BadAddress:
        return None
