"""Whom mail for an address reaches: users, plus-addresses, aliases, groups, catch-all, postmaster.

Addresses are resolved when a mail is taken and never again: its events carry the ids of users.
"""

from collections.abc import Iterable
from typing import Protocol

from mail.addresses import (
    POSTMASTER,
    ROLES,
    address_at,
    folded_local,
    normal_domain,
    split_address,
)
from mail.directory.alias_expansion import ExpansionLimitExceeded, reach
from mail.errors import NotFound, Refused, StoreUnavailable
from mail.pagination import all_rows
from mail.ports import Addresses, Domains, Resolver, Settings, Users
from schemas.directory import Domain, Owner, User
from schemas.mail import Recipient

NO_DOMAINS = "no domain yet: postriver domain add NAME"


def postmaster_setting(domain: Domain) -> str:
    """The directory's setting that holds the user id of who reads postmaster@ and abuse@."""
    return f"postmaster:{domain.domain_id}"


def recipients(forward_path: str, owners: Iterable[Owner]) -> tuple[Recipient, ...]:
    """As they travel with a mail: the forward-path as it was given, once for each owner."""
    return tuple(
        Recipient(address=forward_path, user_id=owner.user.user_id, domain_id=owner.user.domain_id)
        for owner in owners
    )


class RecipientDirectory(Addresses, Domains, Users, Settings, Protocol):
    """The ports that a DirectoryResolver needs."""


class DirectoryResolver(Resolver):
    """The Resolver over a Directory."""

    def __init__(self, directory: RecipientDirectory, hostname: str) -> None:
        self._directory = directory
        self._hostname = hostname.lower()
        self._has_domains = False  # seen once: domains stay

    async def resolve(self, forward_path: str) -> tuple[Owner, ...]:
        """A disabled user's mail is still taken. StoreUnavailable: a group beyond its bounds."""
        if forward_path.lower() == POSTMASTER:
            return await self._host_postmaster()
        local, domain_name = split_address(forward_path)
        name = normal_domain(domain_name)
        domain = await self._directory.domain(name)
        if domain is None and name == self._hostname and local.lower() == POSTMASTER:
            return await self._host_postmaster()
        if domain is None:
            await self._check_domains()
            raise Refused("relay denied")
        return await self._owners(local, domain)

    async def _check_domains(self) -> None:
        """StoreUnavailable: no domain at all is a fault of ours, and no reason to refuse mail."""
        self._has_domains = self._has_domains or bool(
            (await self._directory.list_domains(limit=1)).rows
        )
        if not self._has_domains:
            raise StoreUnavailable("directory", NO_DOMAINS)

    async def _owners(self, local: str, domain: Domain) -> tuple[Owner, ...]:
        try:
            users = await self._users(folded_local(local), domain)
        except ExpansionLimitExceeded as error:  # two changes at once: each was within the bounds
            raise StoreUnavailable("directory", error.detail) from error
        if not users:
            raise NotFound("no such user here")
        return await self._with_domains(users, domain)

    async def _users(self, whole: str, domain: Domain) -> list[User]:
        """bob+x is bob's, unless there is a bob+x (RFC 5233 calls x the detail)."""
        base = whole.partition("+")[0] or whole
        if base == POSTMASTER and (named := await self._named(domain)):
            return [named]
        addresses = [address_at(name, domain.name) for name in dict.fromkeys((whole, base))]
        found = await self._directory.find(addresses)
        for one in (found[address] for address in addresses if address in found):
            return [one] if isinstance(one, User) else await self._reached(one.targets)
        if base in ROLES and (named := await self._named(domain)):
            return [named]
        if domain.catch_all:
            return await self._reached([domain.catch_all])
        # abuse@ without an owner is read by the postmaster (RFC 2142 §4)
        return await self._reached([address_at(POSTMASTER, domain.name)] if base in ROLES else [])

    async def _reached(self, addresses: Iterable[str]) -> list[User]:
        return list((await reach(self._directory.find, addresses)).users.values())

    async def _with_domains(self, users: list[User], domain: Domain) -> tuple[Owner, ...]:
        """An alias may lead into another domain of ours."""
        domains = {domain.domain_id: domain}
        for domain_id in sorted({user.domain_id for user in users} - domains.keys()):
            other = await self._directory.domain_by_id(domain_id)
            assert other is not None, "a user has a domain, and domains stay"
            domains[domain_id] = other
        return tuple(Owner(user=user, domain=domains[user.domain_id]) for user in users)

    async def _named(self, domain: Domain) -> User | None:
        """Who was named to read what is for the domain's postmaster."""
        user_id = await self._directory.setting(postmaster_setting(domain))
        return None if user_id is None else await self._directory.user(user_id)

    async def _host_postmaster(self) -> tuple[Owner, ...]:
        """`postmaster` without a domain or at this host's own name (RFC 5321 §4.5.1).

        That is the postmaster of the domain in which the host's name lies, else of the first one.
        """
        domains = {domain.name: domain async for domain in all_rows(self._directory.list_domains)}
        first = sorted(domains.values(), key=lambda domain: domain.created_at_ms)[:1]
        own = [domains[name] for name in _with_parents(self._hostname) if name in domains]
        for domain in (*own, *first):
            return await self._owners(POSTMASTER, domain)
        raise StoreUnavailable("directory", NO_DOMAINS)


def _with_parents(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]
