"""Sender check: whether a user may send with the addresses of a mail.

Used by the edges before they accept a submission, and by the stage validate_submitted: an alias may
have been removed, or the user disabled, while a submission was held.
"""

from collections.abc import Iterable
from typing import Protocol

from mail.directory.own_addresses import is_own, own_addresses
from mail.ports import Addresses, Users
from schemas.ids import UserId

DISABLED = "5.7.1", "The sender's account is disabled."
NOT_OWN = "5.7.1", "The sender's address does not belong to the account."


class SenderDirectory(Addresses, Users, Protocol):
    """The ports that a SenderCheck needs."""


class SenderCheck:
    """Checks senders in the directory."""

    def __init__(self, directory: SenderDirectory) -> None:
        self._directory = directory

    async def fault(self, user_id: UserId, addresses: Iterable[str]) -> tuple[str, str] | None:
        """Why the user may not send as `addresses`: enhanced status code and text; None: may.

        Own addresses are the account's, its aliases that are no groups, and both with a +detail.
        Raises StoreUnavailable.
        """
        user = await self._directory.user(user_id)
        if user is None or user.disabled:
            return DISABLED
        own = await own_addresses(self._directory, user)
        for address in addresses:
            if not await is_own(self._directory, address, own):
                return NOT_OWN
        return None
