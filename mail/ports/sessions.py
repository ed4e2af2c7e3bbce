"""Sessions of signed-in users, and the log of attempts to sign in."""

from typing import Protocol

from mail.pagination import NEWEST, ListPosition
from schemas.directory import Session, SignIn, User
from schemas.ids import UserId

SIGN_INS_KEPT = 1_000  # of one user and outcome
SESSIONS_KEPT = 200  # of one user


class Sessions(Protocol):
    """Sessions by the SHA-256 of their token; tokens are never stored."""

    async def add_session(self, session: Session) -> None:
        """Add `session` and end the user's sessions beyond the newest SESSIONS_KEPT.

        Raises NotFound: no such user.
        """
        ...

    async def session(self, token_sha256: str) -> Session | None:
        """Return the session, also if it has expired; None if it has ended."""
        ...

    async def session_and_user(self, token_sha256: str) -> tuple[Session, User] | None:
        """Return the session, also if it has expired, and its user, also if it is disabled."""
        ...

    async def sessions(self, user_id: UserId, *, limit: int) -> list[Session]:
        """Return the user's sessions, newest first, also if expired."""
        ...

    async def use_session(self, token_sha256: str, *, at_ms: int) -> None:
        """Record the time of the latest use; no error if the session has ended."""
        ...

    async def end_session(self, token_sha256: str) -> None:
        """End the session; no error if it has ended."""
        ...

    async def session_ends(self, after: int | None) -> tuple[list[str], int]:
        """Return token SHA-256s of sessions that ended after `after`, and the next position.

        The list has every end: sign-out, new password, disabled user, limit, pruning. A call
        returns at most 1,000; None for `after` returns the present position alone. Ends are kept
        for one hour.
        """
        ...

    async def prune_sessions(self, now_ms: int) -> int:
        """End sessions that have expired and drop old `session_ends`; return the number of ends."""
        ...


class SignIns(Protocol):
    """Attempts to sign in, successful or not, for their owner and for operators."""

    async def add_sign_in(self, sign_in: SignIn) -> None:
        """Add `sign_in` and drop those beyond the last SIGN_INS_KEPT of its user and outcome."""
        ...

    async def sign_ins(
        self, user_id: UserId, *, limit: int, before: ListPosition = NEWEST
    ) -> list[SignIn]:
        """Return sign-ins, newest first.

        `before`: (at_ms, sign_in_id) of the previous page's last.
        """
        ...

    async def sign_in_sources(self, user_id: UserId, *, since_ms: int) -> list[tuple[str, str]]:
        """Return each (peer, device) of a successful sign-in since then, in no order."""
        ...

    async def prune_sign_ins(self, *, before_ms: int) -> int:
        """Drop sign-ins from before; return their number."""
        ...
