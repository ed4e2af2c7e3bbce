"""Aliases and groups, and the lookup of addresses. Addresses are in normal form."""

from collections.abc import Sequence

import msgspec

from mail.errors import AlreadyExists, NotFound
from mail.pagination import RowPage, check_limit, row_page
from schemas.cql.directory import LEADS_TO, StoredAddress
from schemas.directory import Alias, User
from stores.cassandra.directory.part import DirectoryPart, leading
from stores.cassandra.session import Statement

_LEADING = LEADS_TO.select("address")


class AddressesPart(DirectoryPart):
    """Addresses of users, aliases and groups."""

    async def find(self, addresses: Sequence[str]) -> dict[str, User | Alias]:
        """One query for each address, all at the same time."""
        names = list(dict.fromkeys(addresses))
        found: dict[str, User | Alias] = {}
        for name, row in zip(names, await self.addresses.get_many(names), strict=True):
            owner = row and (row.user or row.alias)
            if owner:
                found[name] = owner
        return found

    async def list_aliases(self, *, cursor: str | None = None, limit: int) -> RowPage[Alias]:
        check_limit(limit)
        found: list[Alias] = []
        async for names in self.alias_names.after(cursor or "", window=limit + 1):
            rows = await self.addresses.get_many(names)
            found += [row.alias for row in rows if row is not None and row.alias is not None]
            if len(found) > limit:
                break
        return row_page(found, limit, lambda alias: alias.address)

    async def add_alias(self, alias: Alias) -> None:
        if await self.domain_by_id(alias.domain_id) is None:
            raise NotFound("there is no such domain")
        await self.addresses.change(
            alias.address, to=lambda row: _added(row, alias), first=self._named
        )

    def _named(self, row: StoredAddress) -> Sequence[Statement]:
        """The statements that list an alias, by its address and by its targets."""
        assert row.alias is not None
        address = row.alias.address
        return [*self.alias_names.put(address), *leading(row.alias.targets, address)]

    async def remove_alias(self, address: str) -> None:
        def removed(row: StoredAddress | None) -> None:
            if row is None or row.alias is None:
                raise NotFound("there is no such alias")

        await self.addresses.change(address, to=removed)

    async def remove_target(self, address: str, target: str) -> None:
        def without(row: StoredAddress | None) -> StoredAddress:
            if row is None or row.alias is None or target not in row.alias.targets:
                raise NotFound("it leads to no such address")
            rest = tuple(each for each in row.alias.targets if each != target)
            return StoredAddress(alias=msgspec.structs.replace(row.alias, targets=rest))

        await self.addresses.change(address, to=without)

    async def addresses_leading_to(self, target: str) -> list[str]:
        listed = [address for (address,) in await self._session.read(_LEADING, target)]
        names = [each for each in listed if not each.startswith("*@")]
        rows = await self.addresses.get_many(names)
        found = [row.alias for row in rows if row is not None and row.alias is not None]
        caught = [each for each in listed if each.startswith("*@")]
        domains = await self.domains.get_many([each.removeprefix("*@") for each in caught])
        return sorted(
            [alias.address for alias in found if target in alias.targets]
            + [
                each
                for each, row in zip(caught, domains, strict=True)
                if row is not None and row.domain.catch_all == target
            ]
        )


def _added(row: StoredAddress | None, alias: Alias) -> StoredAddress:
    """The row after the addition. Raises AlreadyExists: the address is taken otherwise."""
    if row is None:
        targets = tuple(sorted(set(alias.targets)))
        return StoredAddress(alias=msgspec.structs.replace(alias, targets=targets))
    known = row.alias
    if known is not None and known.is_group and alias.is_group:
        together = tuple(sorted({*known.targets, *alias.targets}))
        return StoredAddress(alias=msgspec.structs.replace(known, targets=together))
    if known is None or known.is_group or alias.is_group or known.targets != alias.targets:
        raise AlreadyExists(f"the address {alias.address} exists already")
    return row
