"""Application passwords: random passwords of programs, which their owner names and revokes."""

from typing import Protocol

from mail.errors import Refused
from schemas.directory import AppPassword
from schemas.ids import UserId

APP_PASSWORDS_MAX = 50  # of one user


class TooManyAppPasswords(Refused):
    """The user has APP_PASSWORDS_MAX application passwords."""

    def __init__(self) -> None:
        super().__init__(f"a user has at most {APP_PASSWORDS_MAX} application passwords")


class AppPasswords(Protocol):
    """Application passwords by the hash of their secret; secrets are never stored."""

    async def add_app_password(self, app_password: AppPassword) -> None:
        """Add `app_password`, unless its id exists.

        Raises NotFound: no such user; TooManyAppPasswords. Atomic: additions at once do not exceed
        the limit.
        """
        ...

    async def app_password(self, user_id: UserId, secret_sha256: str) -> AppPassword | None:
        """Return the user's application password with this hash; None if it is revoked."""
        ...

    async def app_passwords(self, user_id: UserId) -> list[AppPassword]:
        """Return all application passwords of the user, newest first."""
        ...

    async def use_app_password(
        self, app_password_id: str, *, at_ms: int, protocol: str, network: str
    ) -> None:
        """Record the latest use; no error if it is revoked. An earlier use changes nothing."""
        ...

    async def revoke_app_password(self, user_id: UserId, app_password_id: str) -> None:
        """Delete one application password of the user. Raises NotFound: the user has no such."""
        ...
