"""Quotas of users and domains: read the limit in force and the usage, or change the limit."""

from dataclasses import dataclass

import msgspec

from mail.directory.quotas import effective_quota
from mail.ports import Domains, MailStore, Users
from operations.accounts import get_domain, get_user
from schemas.directory import QUOTA_UNSET, Quota
from schemas.mailbox import Usage

UNLIMITED = Quota(size_bytes=0, messages=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaChange:
    """Limits to set; None leaves a limit as it is. 0 is no limit.

    `start`: the quota that the limits are applied to instead of the present one.
    """

    size_bytes: int | None = None
    messages: int | None = None
    start: Quota | None = None

    def apply(self, quota: Quota) -> Quota:
        """Return `quota` with the change."""
        limits = {"size_bytes": self.size_bytes, "messages": self.messages}
        changed = {name: limit for name, limit in limits.items() if limit is not None}
        return msgspec.structs.replace(quota if self.start is None else self.start, **changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaStatus:
    """What a user or a domain stores, and the limits in force (None: no limit)."""

    name: str  # address or domain
    used: Usage
    limits: Quota


async def user_quota(
    users: Users, store: MailStore, address: str, *, change: QuotaChange, default: Quota
) -> QuotaStatus:
    """Apply `change` to the user's quota and return the result. Raises NotFound.

    `default`: the limits of users without a quota of their own.
    """
    user = await get_user(users, address)
    quota = change.apply(user.quota)
    if quota != user.quota:
        await users.set_user_quota(user.user_id, quota)
    used = await store.usage(user.user_id)
    return QuotaStatus(name=user.address, used=used, limits=effective_quota(quota, default))


async def domain_quota(
    domains: Domains, store: MailStore, name: str, *, change: QuotaChange
) -> QuotaStatus:
    """Apply `change` to the quota of all users of the domain together. Raises NotFound."""
    domain = await get_domain(domains, name)
    quota = change.apply(domain.quota)
    if quota != domain.quota:
        await domains.set_domain_quota(domain.domain_id, quota)
    used = await store.domain_usage(domain.domain_id)
    return QuotaStatus(name=domain.name, used=used, limits=effective_quota(quota, QUOTA_UNSET))
