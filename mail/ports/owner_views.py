"""Views of a mailbox about its owner: settings and correspondents."""

from typing import Protocol

from schemas.correspondents import Correspondent
from schemas.ids import UserId
from schemas.user_settings import StoredSettings


class OwnerViews(Protocol):
    """Settings and correspondents of every mailbox's owner, for any caller."""

    async def settings(self, user_id: UserId) -> StoredSettings:
        """Return the settings. A user who never changed them: StoredSettings()."""
        ...

    async def correspondents(
        self, user_id: UserId, prefix: str, *, limit: int
    ) -> list[Correspondent]:
        """Correspondents whose name, part of a name, address or domain begins with `prefix`.

        Case and Unicode composition are ignored. Most frequent recipients first, then the newest.
        The least recent beyond the limit are forgotten (mail/mailbox/correspondents.py).
        """
        ...
