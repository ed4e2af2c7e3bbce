"""Uploads of users: rows only; the contents are in the content store."""

from collections.abc import Sequence
from typing import Protocol

from mail.errors import Refused
from schemas.ids import UploadId, UserId
from schemas.mailbox import Usage
from schemas.uploads import Upload, UploadQuota


class TooManyUploads(Refused):
    """The user's uploads leave no room, and no upload may expire yet."""

    def __init__(self) -> None:
        super().__init__("There is no room for more uploads: use or delete some first.")


class Uploads(Protocol):
    """Rows of uploads. The row exists for as long as its content has a holder.

    An upload whose `expires_at_ms` has come does not exist for its owner. Another user's upload
    does not exist either.
    """

    async def begin(self, upload: Upload, *, quota: UploadQuota, now_ms: int) -> None:
        """Add a row without content, and count it. The same id again changes nothing.

        Without room, the uploads that were used least recently expire first. Raises
        TooManyUploads: nothing has changed.
        """
        ...

    async def finish(self, upload_id: UploadId, *, sha256: str) -> None:
        """Record that the content is stored and held; no error if the row has gone."""
        ...

    async def uploads(self, user_id: UserId, *, now_ms: int) -> list[Upload]:
        """Return the user's finished uploads, the least recently used first."""
        ...

    async def use(
        self,
        user_id: UserId,
        upload_ids: Sequence[UploadId],
        *,
        now_ms: int,
        expires_at_ms: int,
    ) -> list[Upload]:
        """Extend finished uploads; return those that exist, by id."""
        ...

    async def expire(self, user_id: UserId, upload_id: UploadId, *, now_ms: int) -> bool:
        """End an upload, finished or not; False: it does not exist."""
        ...

    async def usage(self, user_id: UserId, *, now_ms: int) -> Usage:
        """Size and number of the user's uploads, also of those that are not finished."""
        ...

    async def expire_due(self, *, now_ms: int, limit: int) -> list[Upload]:
        """End the uploads of all users whose time has come; return at most `limit` ended rows.

        A row that is returned never comes back to life. It is returned until it is deleted.
        """
        ...

    async def delete(self, upload_ids: Sequence[UploadId]) -> None:
        """Delete rows, after their holders were released; no error if a row has gone."""
        ...
