"""Quotas: how much a user and a domain may store, asked before a mail is taken and never after.

What counts is what is stored. Mail on its way does not, and what was accepted is stored in any
case, so a mailbox can go beyond its quota by what was under way when it filled.
"""

import logging
import time
from collections.abc import Sequence

from mail.directory.usage_cache import UsageCache
from mail.errors import Transient
from mail.ports import MailStore, QuotaCheck
from schemas.directory import NOTHING_SAID, Owner, Quota
from schemas.mailbox import Usage

log = logging.getLogger(__name__)

SIZE_MAX_BYTES = 1 << 60
MESSAGES_MAX = 1 << 50
WARN_EVERY_S = 60.0


def in_force(quota: Quota, default: Quota) -> Quota:
    """What was said, else the default; None where there is no limit."""

    def first(said: int | None, otherwise: int | None) -> int | None:
        return (otherwise if said is None else said) or None

    return Quota(
        size_bytes=first(quota.size_bytes, default.size_bytes),
        messages=first(quota.messages, default.messages),
    )


def is_limited(quota: Quota) -> bool:
    return bool(quota.size_bytes or quota.messages)


def fits(usage: Usage, quota: Quota, *, size_bytes: int) -> bool:
    """Whether one more mail of that size may come; 0 when its size is not known."""
    bytes_fit = quota.size_bytes is None or (
        usage.size_bytes < quota.size_bytes and usage.size_bytes + size_bytes <= quota.size_bytes
    )
    return bytes_fit and (quota.messages is None or usage.messages < quota.messages)


class StoredQuotaCheck(QuotaCheck):
    """The Room over a MailStore. Without a quota nothing is read."""

    def __init__(self, store: MailStore, default: Quota) -> None:
        self._default = default
        self._users = UsageCache(store.usage)
        self._domains = UsageCache(store.domain_usage)
        self._silent_until_s = 0.0

    async def has_room(self, owners: Sequence[Owner], *, size_bytes: int) -> bool:
        for owner in owners:
            if await self._fits(owner, size_bytes):
                return True
        return False

    async def _fits(self, owner: Owner, size_bytes: int) -> bool:
        """A store that does not answer stops no mail: it waits in the log, not in the store."""
        try:
            return await self._fits_both(owner, size_bytes)
        except Transient as error:
            self._warn(f"quotas are not looked at: {error}")
            return True

    async def _fits_both(self, owner: Owner, size_bytes: int) -> bool:
        """The domain first: of a group all members share what is known of it."""
        user_id, domain_id = owner.user.user_id, owner.domain.domain_id
        for quota, usages, id_ in (
            (in_force(owner.domain.quota, NOTHING_SAID), self._domains, domain_id),
            (in_force(owner.user.quota, self._default), self._users, user_id),
        ):
            if is_limited(quota) and not fits(await usages.of(id_), quota, size_bytes=size_bytes):
                return False
        return True

    def _warn(self, text: str) -> None:
        """Once a minute, however many recipients there are."""
        now_s = time.monotonic()
        if now_s >= self._silent_until_s:
            self._silent_until_s = now_s + WARN_EVERY_S
            log.warning(text)
