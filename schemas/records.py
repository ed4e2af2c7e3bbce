"""Rows of the smaller stores: directory, quarantine, holders, dead letters."""

import msgspec

from schemas.content import Stored
from schemas.mail import Envelope, Head, Hop, Verdict


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


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, counted under several keys. Keys are opaque: no address, no peer in clear."""

    attempt_id: str
    at_ms: int
    keys: tuple[str, ...]


class AttemptLimit(msgspec.Struct, frozen=True, kw_only=True):
    """At most `most` attempts under `key` in any `window_ms`."""

    key: str
    most: int
    window_ms: int


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that ended in quarantine: infected, far over the spam threshold, or unscannable."""

    mail_id: str
    reason: str  # infected | spam | unscannable
    verdict: Verdict
    envelope: Envelope
    head: Head
    content: Stored
    received_at_ms: int
    quarantined_at_ms: int
    hops: tuple[Hop, ...]
    released_at_ms: int | None = None
    released_by: str = ""
    unpublished: bool = False  # released, and perhaps not in the river yet
    deleted_at_ms: int | None = None  # then envelope and head are empty
    deleted_by: str = ""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who needs a content: a user's message, quarantine, a dead letter."""

    mail_id: str
    holder: str  # user:ID, or one of those below
    ref: str


QUARANTINE_HOLDER = "quarantine"
DEAD_LETTERS_HOLDER = "dead_letters"


class IndexDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What search knows of a message. Flags and folders stay out: rows tell them."""

    message_id: str
    user_id: str
    domain_id: str
    received_at_ms: int
    size_bytes: int
    has_attachments: bool
    subject: str
    sender: str
    to: str
    cc: str
    body: str
    filenames: str


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could not be handled: its bytes unchanged, and why."""

    topic: str
    partition: int
    offset: int
    stage: str
    cause: str
    attempt: int
    at_ms: int
    key: bytes
    value: bytes
