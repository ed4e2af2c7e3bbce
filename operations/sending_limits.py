"""Limits of sending of a user or of a domain's users: read those in force, or change them."""

from dataclasses import dataclass

import msgspec

from mail.ports import Directory
from mail.sending.own_limits import OwnLimits
from mail.sending.sending_limits import SendingLimits
from operations.accounts import get_domain, get_user
from schemas.directory import OwnSendingLimits

UNLIMITED = OwnSendingLimits(**dict.fromkeys(OwnSendingLimits.__struct_fields__, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChange:
    """Limits to set, by the fields of OwnSendingLimits. 0 is no limit.

    `start`: the limits that they are applied to instead of the present limits.
    """

    limits: dict[str, int]
    start: OwnSendingLimits | None = None

    def apply(self, own: OwnSendingLimits) -> OwnSendingLimits:
        """Return `own` with the change."""
        return msgspec.structs.replace(own if self.start is None else self.start, **self.limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsStatus:
    """The limits in force, and those of them that are set for this user or domain itself."""

    name: str  # address or domain
    limits: SendingLimits
    own: OwnSendingLimits


async def user_limits(
    directory: Directory, address: str, *, change: LimitsChange, configured: SendingLimits
) -> LimitsStatus:
    """Apply `change` to the user's limits and return the result. Raises NotFound."""
    user, limits = await get_user(directory, address), OwnLimits(directory, configured)
    before = await limits.of_user(user)
    own = change.apply(before)
    if own != before:
        await limits.set_for_user(user, own)
    return LimitsStatus(name=user.address, limits=await limits.of(user), own=own)


async def domain_limits(
    directory: Directory, name: str, *, change: LimitsChange, configured: SendingLimits
) -> LimitsStatus:
    """Apply `change` to the limits of each user of the domain. Raises NotFound."""
    domain, limits = await get_domain(directory, name), OwnLimits(directory, configured)
    before = await limits.of_domain(domain.domain_id)
    own = change.apply(before)
    if own != before:
        await limits.set_for_domain(domain, own)
    return LimitsStatus(name=domain.name, limits=await limits.of_domain_users(domain), own=own)
