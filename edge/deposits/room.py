"""Room for a deposit: free disk, and the quotas of a user and of the user's domain.

Ingress accepts mail while the stores do not answer (mail/directory/quotas.py), because a sender
would try again for days. The owner of a mailbox gets the error at once instead.
"""

from dataclasses import dataclass, field

from mail.clock import now_ms
from mail.directory.quotas import effective_quota, fits, is_limited
from mail.directory.usage_cache import UsageCache
from mail.errors import Refused, StoreUnavailable
from mail.ports import Domains, IntakeGate, MailStore, Uploads
from schemas.directory import QUOTA_UNSET, Quota, User
from schemas.ids import DomainId, UserId
from schemas.mailbox import Usage

NOTHING = Usage()


class OverQuota(Refused):
    """The user's quota, or that of the domain, has no room."""

    def __init__(self) -> None:
        super().__init__("The quota is used up: delete messages first.")


@dataclass(slots=True)
class OwnerRoom:
    """The quotas of all users of one process. `default`: of users without a quota of their own.

    A user's uploads count in the size. They do not count in the usage of the domain.
    """

    store: MailStore
    domains: Domains
    default: Quota
    uploads: Uploads
    gate: IntakeGate
    _domain_usages: UsageCache = field(init=False)

    def __post_init__(self) -> None:
        self._domain_usages = UsageCache(lambda id_: self.store.domain_usage(DomainId(id_)))

    async def usage(self, user_id: UserId) -> Usage:
        """Messages and their size, with the size of the user's uploads."""
        usage = await self.store.usage(user_id)
        uploaded = await self.uploads.usage(user_id, now_ms=now_ms())
        return Usage(usage.size_bytes + uploaded.size_bytes, usage.messages)

    async def check(self, user: User, *, size_bytes: int, replaced: Usage = NOTHING) -> None:
        """Check that `size_bytes` more fit, when `replaced` goes. The domain's usage is cached.

        Several deposits at once may together exceed the quota. Raises OverQuota; StoreUnavailable:
        also while the gate is closed, as by a disk that is nearly full.
        """
        if reason := self.gate.closed():
            raise StoreUnavailable("intake", reason)
        quota = effective_quota(user.quota, self.default)
        if is_limited(quota):
            usage = await self.usage(user.user_id)
            _check(usage, quota, size_bytes=size_bytes, replaced=replaced)
        domain = await self.domains.domain_by_id(user.domain_id)
        quota = effective_quota(domain.quota if domain else QUOTA_UNSET, QUOTA_UNSET)
        if is_limited(quota):
            usage = await self._domain_usages.of(user.domain_id)
            _check(usage, quota, size_bytes=size_bytes, replaced=replaced)


def _check(usage: Usage, quota: Quota, *, size_bytes: int, replaced: Usage) -> None:
    left = Usage(usage.size_bytes - replaced.size_bytes, usage.messages - replaced.messages)
    if not fits(left, quota, size_bytes=size_bytes):
        raise OverQuota
