"""Limits of sending that an operator sets for a user or for the users of a domain.

Of each limit the most specific value is in force: the user's, else the domain's, else that of the
configuration. They are settings of the directory, so every edge uses a change at once.
"""

from dataclasses import replace

import msgspec

from mail.ports.settings import Settings
from mail.sending.sending_limits import SendingLimit, SendingLimits
from schemas.directory import NO_OWN_LIMITS, Domain, OwnSendingLimits, User
from schemas.ids import DomainId

PERIODS = ("minute", "hour", "day")
COUNTED = ("mails", "recipients")


class OwnLimits:
    """Reads and writes the limits of users and domains."""

    def __init__(self, settings: Settings, configured: SendingLimits) -> None:
        self._settings = settings
        self._configured = configured

    async def of(self, user: User) -> SendingLimits:
        """The limits in force for the user. Raises StoreUnavailable."""
        levels = (await self.of_domain(user.domain_id), await self.of_user(user))
        return in_force(self._configured, *levels)

    async def of_domain_users(self, domain: Domain) -> SendingLimits:
        """The limits in force for other users of the domain. Raises StoreUnavailable."""
        return in_force(self._configured, await self.of_domain(domain.domain_id))

    async def of_user(self, user: User) -> OwnSendingLimits:
        return await self._stored(_user_setting(user))

    async def of_domain(self, domain_id: DomainId) -> OwnSendingLimits:
        return await self._stored(_domain_setting(domain_id))

    async def set_for_user(self, user: User, limits: OwnSendingLimits) -> None:
        await self._store(_user_setting(user), limits)

    async def set_for_domain(self, domain: Domain, limits: OwnSendingLimits) -> None:
        await self._store(_domain_setting(domain.domain_id), limits)

    async def _stored(self, name: str) -> OwnSendingLimits:
        text = await self._settings.setting(name)
        return msgspec.json.decode(text, type=OwnSendingLimits) if text else NO_OWN_LIMITS

    async def _store(self, name: str, limits: OwnSendingLimits) -> None:
        if limits == NO_OWN_LIMITS:
            await self._settings.remove_setting(name)
        else:
            await self._settings.set_setting(name, msgspec.json.encode(limits).decode())


def in_force(configured: SendingLimits, *levels: OwnSendingLimits) -> SendingLimits:
    """The configured limits, replaced by those of the levels, the most specific level last."""
    limits = configured
    for own in levels:
        limits = SendingLimits(
            minute=_replaced(limits.minute, own),
            hour=_replaced(limits.hour, own),
            day=_replaced(limits.day, own),
        )
    return limits


def limit_name(counted: str, period: str) -> str:
    """The field of OwnSendingLimits."""
    return f"{counted}_per_{period}"


def _replaced(limit: SendingLimit, own: OwnSendingLimits) -> SendingLimit:
    mails, recipients = (getattr(own, limit_name(counted, limit.name)) for counted in COUNTED)
    return replace(
        limit,
        mails=limit.mails if mails is None else mails,
        recipients=limit.recipients if recipients is None else recipients,
    )


def _user_setting(user: User) -> str:
    return f"sending-limits:user:{user.user_id}"


def _domain_setting(domain_id: DomainId) -> str:
    return f"sending-limits:domain:{domain_id}"
