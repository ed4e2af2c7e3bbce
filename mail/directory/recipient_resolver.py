"""Recipient resolver: the users that receive mail for an address.

An address may be a user's, a plus-address, an alias, a group, postmaster, or of a catch-all. It is
resolved when a mail is accepted and never again: the events of the mail carry user ids.
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
from mail.directory.alias_expansion import ExpansionLimitExceeded, expand
from mail.errors import NotFound, Refused, StoreUnavailable
from mail.pagination import all_rows
from mail.ports import Addresses, Domains, Resolver, Settings, Users
from schemas.directory import Domain, Owner, User
from schemas.ids import UserId
from schemas.mail import Recipient

NO_DOMAINS = "no domain yet: postriver domain add NAME"


def postmaster_setting(domain: Domain) -> str:
    """Name of the setting with the id of the user who reads postmaster@ and abuse@."""
    return f"postmaster:{domain.domain_id}"


def recipients(forward_path: str, owners: Iterable[Owner]) -> tuple[Recipient, ...]:
    """The recipients of an envelope: the forward-path as the client sent it, once per owner."""
    return tuple(
        Recipient(address=forward_path, user_id=owner.user.user_id, domain_id=owner.user.domain_id)
        for owner in owners
    )


class RecipientDirectory(Addresses, Domains, Users, Settings, Protocol):
    """The ports that a DirectoryResolver needs."""


class BounceAddresses(Protocol):
    """The addresses to which other servers send bounces of mail that was sent from here."""

    async def sender(self, forward_path: str) -> User | None:
        """Return the user who sent the mail; None: it is no such address, or it has expired."""
        ...


class DirectoryResolver(Resolver):
    """Resolver over the directory."""

    def __init__(
        self,
        directory: RecipientDirectory,
        hostname: str,
        *,
        bounces: BounceAddresses | None = None,
    ) -> None:
        self._directory = directory
        self._bounces = bounces
        self._hostname = hostname.lower()
        self._has_domains = False  # once True it stays: domains are never removed

    async def resolve(self, forward_path: str) -> tuple[Owner, ...]:
        """The owners of the mailboxes for `forward_path`; mail to a disabled user is accepted.

        Raises NotFound: no such user. Refused: not a local domain. StoreUnavailable: no domain yet,
        or the expansion exceeds a limit.
        """
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
        if self._bounces is not None and (sender := await self._bounces.sender(forward_path)):
            return await self._with_domains([sender], domain)
        return await self._owners(local, domain)

    async def _check_domains(self) -> None:
        """Raises StoreUnavailable: there is no domain yet, a fault of this server, not the mail."""
        self._has_domains = self._has_domains or bool(
            (await self._directory.list_domains(limit=1)).rows
        )
        if not self._has_domains:
            raise StoreUnavailable("directory", NO_DOMAINS)

    async def _owners(self, local: str, domain: Domain) -> tuple[Owner, ...]:
        try:
            users = await self._users(folded_local(local), domain)
        except ExpansionLimitExceeded as error:  # two concurrent changes, each within the limits
            raise StoreUnavailable("directory", error.detail) from error
        if not users:
            raise NotFound("no such user here")
        return await self._with_domains(users, domain)

    async def _users(self, whole: str, domain: Domain) -> list[User]:
        """The users of a local part.

        bob+detail is an address of bob (RFC 5233), unless bob+detail is an address itself.
        """
        base = whole.partition("+")[0] or whole
        if base == POSTMASTER and (appointed := await self._appointed_user(domain)):
            return [appointed]
        addresses = [address_at(name, domain.name) for name in dict.fromkeys((whole, base))]
        rows = await self._directory.find(addresses)
        for row in (rows[address] for address in addresses if address in rows):
            return [row] if isinstance(row, User) else await self._expand(row.targets)
        if base in ROLES and (appointed := await self._appointed_user(domain)):
            return [appointed]
        if domain.catch_all:
            return await self._expand([domain.catch_all])
        # abuse@ without an owner goes to the postmaster (RFC 2142 §4)
        return await self._expand([address_at(POSTMASTER, domain.name)] if base in ROLES else [])

    async def _expand(self, addresses: Iterable[str]) -> list[User]:
        return list((await expand(self._directory.find, addresses)).users.values())

    async def _with_domains(self, users: list[User], domain: Domain) -> tuple[Owner, ...]:
        """The users with their domains; an alias may lead to another local domain."""
        domains = {domain.domain_id: domain}
        for domain_id in sorted({user.domain_id for user in users} - domains.keys()):
            other = await self._directory.domain_by_id(domain_id)
            assert other is not None, "a user has a domain, and domains are never removed"
            domains[domain_id] = other
        return tuple(Owner(user=user, domain=domains[user.domain_id]) for user in users)

    async def _appointed_user(self, domain: Domain) -> User | None:
        """The user that the operator appointed to read mail for the domain's postmaster."""
        user_id = await self._directory.setting(postmaster_setting(domain))
        return None if user_id is None else await self._directory.user(UserId(user_id))

    async def _host_postmaster(self) -> tuple[Owner, ...]:
        """The owners of `postmaster` without a domain or at the host name (RFC 5321 §4.5.1).

        That is the postmaster of the domain that contains the host name, else of the oldest domain.
        """
        domains = {domain.name: domain async for domain in all_rows(self._directory.list_domains)}
        first = sorted(domains.values(), key=lambda domain: domain.created_at_ms)[:1]
        own = [domains[name] for name in _with_parents(self._hostname) if name in domains]
        for domain in (*own, *first):
            return await self._owners(POSTMASTER, domain)
        raise StoreUnavailable("directory", NO_DOMAINS)


def _with_parents(name: str) -> list[str]:
    """The domain name and its parent domains, longest first."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]
