"""Rows of the directory: domains, users, aliases, sessions, sign-ins and their counted attempts."""

import msgspec


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """How much may be stored. None: nothing was said, so a default holds; 0: no limit."""

    size_bytes: int | None = None
    messages: int | None = None


NOTHING_SAID = Quota()


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    domain_id: str  # opaque, never reused
    name: str  # lower case, A-labels (RFC 5890)
    created_at_ms: int
    quota: Quota = NOTHING_SAID  # of all its users together
    catch_all: str = ""  # an address here, for what has no other owner; "": there is none


class User(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str  # opaque, never reused
    domain_id: str
    address: str  # local-part@domain, as it was added
    disabled: bool
    created_at_ms: int
    password_hash: str = ""  # argon2id; "" cannot sign in
    quota: Quota = NOTHING_SAID


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """An address that leads to others here: an alias to one, a group to its members."""

    address: str  # as are the targets: in its normal form (mail/addresses.py)
    domain_id: str
    is_group: bool
    targets: tuple[str, ...]  # sorted; users, aliases, groups
    created_at_ms: int


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whom mail for an address reaches, and the domain that he belongs to."""

    user: User
    domain: Domain


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in. The token itself is never stored, only its SHA-256."""

    token_sha256: str
    user_id: str
    expires_at_ms: int
    created_at_ms: int = 0  # 0: by a version that did not write it down
    used_at_ms: int = 0  # last, to within minutes
    user_agent: str = ""  # of the sign-in, as is its peer
    peer: str = ""


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """A try to sign in, kept for its owner and for operators. No password, right or wrong."""

    sign_in_id: str
    user_id: str  # "": to an address that nobody has
    at_ms: int
    outcome: str  # success | failure | lockout
    peer: str
    user_agent: str
    device: str = ""  # SHA-256 of the browser's device token; "": it has none


class CountedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, counted under several keys. Keys are opaque: no address, no peer in clear."""

    attempt_id: str
    at_ms: int
    keys: tuple[str, ...]


class AttemptLimit(msgspec.Struct, frozen=True, kw_only=True):
    """At most `most` attempts under `key` in any `window_ms`."""

    key: str
    most: int
    window_ms: int
