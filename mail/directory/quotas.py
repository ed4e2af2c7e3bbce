"""Quotas of users and domains, checked before a mail is accepted and never after.

Only stored mail counts, not mail in the log; and accepted mail is always stored. A mailbox can
therefore exceed its quota by the mail that was in the log when the mailbox became full.
"""

import logging
import time
from collections.abc import Sequence

from mail.directory.usage_cache import UsageCache
from mail.errors import Transient
from mail.ports import MailStore, QuotaCheck
from schemas.directory import QUOTA_UNSET, Owner, Quota
from schemas.ids import DomainId, UserId
from schemas.mailbox import Usage

log = logging.getLogger(__name__)

SIZE_MAX_BYTES = 1 << 60  # largest quota
MESSAGES_MAX = 1 << 50  # largest quota
WARN_INTERVAL_S = 60.0


def effective_quota(quota: Quota, default: Quota) -> Quota:
    """The limits in force: the default's where the quota sets no limit.

    In the result, a limit of None means no limit.
    """

    def value_or_default(value: int | None, default_value: int | None) -> int | None:
        return (default_value if value is None else value) or None

    return Quota(
        size_bytes=value_or_default(quota.size_bytes, default.size_bytes),
        messages=value_or_default(quota.messages, default.messages),
    )


def is_limited(quota: Quota) -> bool:
    """Whether the effective quota has a limit."""
    return bool(quota.size_bytes or quota.messages)


def fits(usage: Usage, quota: Quota, *, size_bytes: int) -> bool:
    """Whether another mail of `size_bytes` may be stored; 0 if its size is not known."""
    bytes_fit = quota.size_bytes is None or (
        usage.size_bytes < quota.size_bytes and usage.size_bytes + size_bytes <= quota.size_bytes
    )
    return bytes_fit and (quota.messages is None or usage.messages < quota.messages)


class StoredQuotaCheck(QuotaCheck):
    """QuotaCheck over the usage in the mail store. Without a quota nothing is read."""

    def __init__(self, store: MailStore, default: Quota) -> None:
        self._default = default
        self._users = UsageCache(lambda id_: store.usage(UserId(id_)))
        self._domains = UsageCache(lambda id_: store.domain_usage(DomainId(id_)))
        self._silent_until_s = 0.0

    async def has_room(self, owners: Sequence[Owner], *, size_bytes: int) -> bool:
        for owner in owners:
            if await self._fits(owner, size_bytes):
                return True
        return False

    async def _fits(self, owner: Owner, size_bytes: int) -> bool:
        """Whether the owner has room; True if the store does not answer: mail waits in the log."""
        try:
            return await self._fits_both(owner, size_bytes)
        except Transient as error:
            self._warn(f"quotas are not checked: {error}")
            return True

    async def _fits_both(self, owner: Owner, size_bytes: int) -> bool:
        """Check the domain's quota first: all members of a group share its cached usage."""
        user_id, domain_id = owner.user.user_id, owner.domain.domain_id
        for quota, usages, id_ in (
            (effective_quota(owner.domain.quota, QUOTA_UNSET), self._domains, domain_id),
            (effective_quota(owner.user.quota, self._default), self._users, user_id),
        ):
            if is_limited(quota) and not fits(await usages.of(id_), quota, size_bytes=size_bytes):
                return False
        return True

    def _warn(self, text: str) -> None:
        """Log a warning, at most once per WARN_INTERVAL_S for all recipients together."""
        now_s = time.monotonic()
        if now_s >= self._silent_until_s:
            self._silent_until_s = now_s + WARN_INTERVAL_S
            log.warning(text)
