"""What is told of sign-ins."""

import msgspec

from api.rest.responses import Timestamp
from mail.clock import rfc3339
from schemas.directory import Session, SignIn

_ID_CHARS = 32  # 128 bits of the token's hash: names a session, and opens none


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`current` is the one that asks. User agent and peer are those of the sign-in."""

    id: str
    current: bool
    created_at: Timestamp | None  # null: by a version that did not write it down
    last_used_at: Timestamp | None  # to within five minutes
    expires_at: Timestamp
    user_agent: str
    peer: str


class SessionList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first."""

    sessions: list[SessionInfo]


class SignInInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome`: success, failure, or lockout: with that failure tries were stopped for a while."""

    at: Timestamp
    outcome: str
    peer: str
    user_agent: str


class SignInList(msgspec.Struct, frozen=True, kw_only=True):
    logins: list[SignInInfo]
    next_cursor: str | None


def public_id(row: Session) -> str:
    return row.token_sha256[:_ID_CHARS]


def session_info(row: Session, *, own_sha256: str) -> SessionInfo:
    return SessionInfo(
        id=public_id(row),
        current=row.token_sha256 == own_sha256,
        created_at=_moment(row.created_at_ms),
        last_used_at=_moment(row.used_at_ms),
        expires_at=rfc3339(row.expires_at_ms),
        user_agent=row.user_agent,
        peer=row.peer,
    )


def sign_in_info(row: SignIn) -> SignInInfo:
    return SignInInfo(
        at=rfc3339(row.at_ms), outcome=row.outcome, peer=row.peer, user_agent=row.user_agent
    )


def _moment(at_ms: int) -> str | None:
    return rfc3339(at_ms) if at_ms else None
