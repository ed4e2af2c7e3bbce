"""Views of a mailbox about its owner: the settings."""

from typing import Protocol

from schemas.ids import UserId
from schemas.user_settings import StoredSettings


class OwnerViews(Protocol):
    """The settings of every mailbox's owner, for any caller."""

    async def settings(self, user_id: UserId) -> StoredSettings:
        """Return the settings. A user who never changed them: StoredSettings()."""
        ...
