"""Domains and users.

A user's row is that of the address; the id leads to the address, which never changes. A domain is
written with its postmaster inside, then the postmaster is added, then the domain is complete: who
finds an incomplete domain finishes it first.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any, TypeVar

import msgspec

from mail.addresses import normal_address, normal_domain
from mail.errors import AlreadyExists, NotFound
from mail.pagination import RowPage, check_limit, row_page
from schemas.cql.directory import ADDRESS, StoredAddress, StoredDomain
from schemas.directory import Domain, Quota, User, UserRole
from schemas.ids import DomainId, UserId
from stores.cassandra.directory.part import DirectoryPart, leading
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.session import Row

KNOWN_MAX = 100_000  # addresses of users, and users of sessions, that a process remembers
WINDOW = 500  # rows of the walk over all addresses in one query
K = TypeVar("K")
V = TypeVar("V")
_replace = msgspec.structs.replace
_decode_address = msgspec.msgpack.Decoder(StoredAddress).decode


class DomainsPart(DirectoryPart):
    """Domains."""

    async def add_domain(self, domain: Domain, postmaster: User) -> None:
        name, address = normal_domain(domain.name), normal_address(postmaster.address)
        taken = AlreadyExists(f"the domain {name} exists already")
        known = await self.domains.get(name)
        if known is not None and known.postmaster is not None:
            await self._finish(name, known)
        await self._check_free(address, postmaster)
        if not await _claimed(self.name_of_domain, domain.domain_id, name, self._names_domain):
            raise taken
        row = StoredDomain(domain=_replace(domain, name=name), postmaster=postmaster)
        stored = await self.domains.change(
            name,
            to=lambda there: row if there is None else there,
            first=lambda _: self.domain_names.put(name),
        )
        if stored is None or stored.domain.domain_id != domain.domain_id:
            raise taken
        if stored.postmaster is None:  # the call is repeated
            await put_user(self, postmaster, address)
        else:
            await self._finish(name, stored)

    async def _finish(self, name: str, stored: StoredDomain) -> None:
        """Add the postmaster; then the domain exists. Raises AlreadyExists: it never will."""
        user = stored.postmaster
        assert user is not None
        try:
            await put_user(self, user, normal_address(user.address))
        except AlreadyExists:
            await self.domains.change(name, to=lambda row: None if row == stored else row)
            raise
        complete = _replace(stored, postmaster=None)
        await self.domains.change(name, to=lambda row: complete if row == stored else row)

    async def _check_free(self, address: str, user: User) -> None:
        row = await self.addresses.get(address)
        if row is not None and (row.user is None or row.user.user_id != user.user_id):
            raise _taken(user)

    async def _names_domain(self, domain_id: str, name: str) -> bool:
        stored = await self.domains.get(name)
        return stored is not None and stored.domain.domain_id == domain_id

    async def list_domains(self, *, cursor: str | None = None, limit: int) -> RowPage[Domain]:
        check_limit(limit)
        found: list[Domain] = []
        async for names in self.domain_names.after(cursor or "", window=limit + 1):
            rows = await self.domains.get_many(names)
            found += [row.domain for row in rows if row is not None and row.postmaster is None]
            if len(found) > limit:
                break
        return row_page(found, limit, lambda domain: domain.name)

    async def domain(self, name: str) -> Domain | None:
        stored = await self.domains.get(normal_domain(name))
        return None if stored is None or stored.postmaster is not None else stored.domain

    async def set_catch_all(self, domain_id: DomainId, address: str) -> None:
        await self._change_domain(domain_id, catch_all=address)

    async def set_domain_quota(self, domain_id: DomainId, quota: Quota) -> None:
        await self._change_domain(domain_id, quota=quota)

    async def _change_domain(self, domain_id: DomainId, **fields: Any) -> None:
        known = await self.domain_by_id(domain_id)
        if known is None:
            raise NotFound("there is no such domain")

        def changed(row: StoredDomain | None) -> StoredDomain:
            assert row is not None, "domains are never removed"
            return _replace(row, domain=_replace(row.domain, **fields))

        await self.domains.change(
            known.name,
            to=changed,
            first=lambda row: leading((row.domain.catch_all,), f"*@{known.name}"),
        )


class UsersPart(DirectoryPart):
    """Users; what ends sessions is in sessions.py."""

    async def add_user(self, user: User) -> None:
        address = normal_address(user.address)
        if await self.domain_by_id(user.domain_id) is None:
            raise NotFound("there is no such domain")
        await put_user(self, user, address)

    async def list_users(self, *, cursor: str | None = None, limit: int) -> RowPage[User]:
        """The cursor is an address; rows are in the order of the cluster's tokens."""
        check_limit(limit)
        found: list[tuple[str, User]] = []
        after = cursor or ""
        while len(found) <= limit:
            rows = await self._session.walk(ADDRESS, "address, row", after=after, limit=WINDOW)
            found += [pair for row in rows for pair in _users(row)]
            if len(rows) < WINDOW:
                break
            after = rows[-1][0]
        page = row_page(found, limit, lambda pair: pair[0])
        return RowPage([user for _, user in islice(page.rows, limit)], page.cursor)

    async def user(self, user_id: UserId) -> User | None:
        known = self.known_addresses.get(user_id)
        user = await self._user_at(known, user_id)
        if user is None:
            address = await self.address_of_user.get(user_id)
            user = await self._user_at(address, user_id) if address != known else None
        return user

    async def _user_at(self, address: str | None, user_id: UserId) -> User | None:
        """The user, if it is there; then later calls look there first."""
        row = None if address is None else await self.addresses.get(address)
        if address is None or row is None or row.user is None or row.user.user_id != user_id:
            return None
        remember(self.known_addresses, user_id, address)
        return row.user

    async def user_by_address(self, address: str) -> User | None:
        row = await self.addresses.get(normal_address(address))
        return row.user if row else None

    async def set_user_quota(self, user_id: UserId, quota: Quota) -> None:
        await self._change_user(user_id, quota=quota)

    async def set_role(self, user_id: UserId, role: UserRole) -> None:
        await self._change_user(user_id, role=role)

    async def _change_user(self, user_id: UserId, **fields: Any) -> None:
        """Raises NotFound."""
        user = await self.user(user_id)
        if user is None:
            raise NotFound("there is no such user")

        def changed(row: StoredAddress | None) -> StoredAddress:
            assert row is not None, "users are never removed"
            assert row.user is not None
            return StoredAddress(user=_replace(row.user, **fields))

        await self.addresses.change(normal_address(user.address), to=changed)


def remember(known: dict[K, V], key: K, value: V) -> None:
    """Remember at most KNOWN_MAX values; what is forgotten is read again."""
    if len(known) >= KNOWN_MAX:
        known.clear()
    known[key] = value


async def put_user(part: DirectoryPart, user: User, address: str) -> None:
    """Add the user, unless it exists. Raises AlreadyExists: its id or its address is taken."""

    async def is_there(user_id: str, its_address: str) -> bool:
        row = await part.addresses.get(its_address)
        return row is not None and row.user is not None and row.user.user_id == user_id

    if not await _claimed(part.address_of_user, user.user_id, address, is_there):
        raise _taken(user)
    stored = await part.addresses.add(address, row=StoredAddress(user=user))
    if stored.user is None or stored.user.user_id != user.user_id:
        raise _taken(user)


async def _claimed(
    names: GuardedRows[str], id_: str, name: str, is_there: Callable[[str, str], Any]
) -> bool:
    """Let `id_` lead to `name`; False: it leads to another row, which exists.

    An id that leads to a row without this id is left from an addition that failed.
    """
    known = await names.add(id_, row=name)
    if known == name:
        return True
    if await is_there(id_, known):
        return False
    return await names.change(id_, to=lambda now: name if now == known else now) == name


def _users(row: Row) -> list[tuple[str, User]]:
    user = _decode_address(row[1]).user
    return [] if user is None else [(row[0], user)]


def _taken(user: User) -> AlreadyExists:
    return AlreadyExists(f"the address {user.address} exists already")
