"""Rows of the directory: domains, users, aliases, sessions, passwords, sign-ins, acts, attempts."""

from typing import Annotated, Literal

import msgspec

from schemas.ids import DomainId, UserId


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """Limit on stored mail. None: not set, the default applies; 0: no limit."""

    size_bytes: int | None = None
    messages: int | None = None


QUOTA_UNSET = Quota()


SENDING_MAX = 10_000_000  # the largest limit of a period
_Most = Annotated[int, msgspec.Meta(ge=0, le=SENDING_MAX)]


class OwnSendingLimits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Limits of what a user sends in a sliding period. None: not set; 0: no limit."""

    mails_per_minute: _Most | None = None
    mails_per_hour: _Most | None = None
    mails_per_day: _Most | None = None
    recipients_per_minute: _Most | None = None
    recipients_per_hour: _Most | None = None
    recipients_per_day: _Most | None = None


NO_OWN_LIMITS = OwnSendingLimits()


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    domain_id: DomainId  # opaque, never reused
    name: str  # lower case, A-labels (RFC 5890)
    created_at_ms: int
    quota: Quota = QUOTA_UNSET  # for all users of the domain together
    catch_all: str = ""  # address of the catch-all user, alias or group; "": no catch-all


UserRole = Literal["user", "operator"]  # an operator may use the admin API


class User(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UserId  # opaque, never reused
    domain_id: DomainId
    address: str  # local-part@domain as the operator wrote it
    disabled: bool
    created_at_ms: int
    password_hash: str = ""  # argon2id; "": the user cannot sign in
    quota: Quota = QUOTA_UNSET
    role: UserRole = "user"


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """An address that stands for other local addresses: an alias for one, a group for members."""

    address: str  # in normal form (mail/addresses.py), like the targets
    domain_id: DomainId
    is_group: bool
    targets: tuple[str, ...]  # sorted addresses of users, aliases and groups
    created_at_ms: int


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """A user that mail for an address is delivered to, and the domain of the user."""

    user: User
    domain: Domain


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session. The token itself is never stored, only its SHA-256."""

    token_sha256: str
    user_id: UserId
    expires_at_ms: int
    created_at_ms: int = 0  # 0: created by a version that did not record it
    used_at_ms: int = 0  # last use, accurate to minutes
    user_agent: str = ""  # of the request that signed in
    peer: str = ""  # client address of that request


AppPasswordScope = Literal["read", "send"]  # fetch and change mail; submit mail


class AppPassword(msgspec.Struct, frozen=True, kw_only=True):
    """An application password. The password itself is never stored, only its hash.

    The last use is accurate to one hour, with the protocol and the network of that use.
    """

    app_password_id: str
    user_id: UserId
    name: str  # by which the owner recognizes it, such as `Phone`
    scopes: tuple[AppPasswordScope, ...]  # sorted, at least one
    secret_sha256: str  # see mail/directory/app_passwords.py
    created_at_ms: int
    used_at_ms: int = 0  # 0: never used
    used_protocol: str = ""
    used_network: str = ""  # an IPv4 address, or an IPv6 /48


SignInOutcome = Literal["success", "failure", "lockout"]


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to sign in, kept for its owner and for operators. It has no password."""

    sign_in_id: str
    user_id: UserId  # "": the address belongs to no user
    at_ms: int
    outcome: SignInOutcome
    peer: str
    user_agent: str
    device: str = ""  # SHA-256 of the browser's device token; "": no token
    protocol: str = ""  # http, submission, pop3, imap; "": noted by a version without protocols
    app_password_id: str = ""  # "": by the account's password, or by a wrong password
    app_password_name: str = ""  # at the time of the attempt; the password may be revoked since
    missing_scope: str = ""  # of a failure: the right application password, without this scope


class OperatorAct(msgspec.Struct, frozen=True, kw_only=True):
    """An act of an operator through the admin API. It has no text of a mail and no password."""

    act_id: str  # UUIDv7
    at_ms: int
    user_id: UserId  # of the operator
    address: str  # of the operator at that time
    peer: str  # client address
    verb: str  # such as `quarantine.release`
    target: str  # an id, an address or a domain; "": what `detail` says
    detail: str  # the request in short
    outcome: str = ""  # `done`, or why not; "": begun, the process ended before it noted the end


class CountedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that is counted under several keys. Keys are opaque hashes."""

    attempt_id: str
    at_ms: int
    keys: tuple[str, ...]


class AttemptLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit of `most` attempts under `key` in any window of `window_ms`."""

    key: str
    most: int
    window_ms: int
