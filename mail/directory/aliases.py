"""Rules of aliases, groups and catch-all addresses, checked when an operator changes them.

Every target is a local user, alias or group. No alias leads back to itself, and no expansion goes
beyond the limits of mail/directory/alias_expansion.py. An address that is a target cannot be
removed. Incoming mail therefore always finds its users. Error texts are written for operators.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from mail.addresses import normal_address, split_address
from mail.directory.alias_expansion import STEPS_MAX, expand
from mail.errors import AlreadyExists, NotFound, Refused
from mail.ports import Addresses, Domains
from schemas.directory import Alias, Domain, User


class AliasDirectory(Addresses, Domains, Protocol):
    """The ports of the alias rules."""


async def add_alias(directory: AliasDirectory, address: str, target: str, *, at_ms: int) -> Alias:
    """Create the alias `address` for `target`; return it. The same alias again is no error.

    Raises AlreadyExists: the address is in use otherwise. NotFound: no such domain or target.
    Refused: the target is not local, or the alias would lead to itself or exceed a limit.
    """
    return await _add(directory, address, [target], is_group=False, at_ms=at_ms)


async def add_members(
    directory: AliasDirectory, address: str, members: Sequence[str], *, at_ms: int
) -> Alias:
    """Create a group with these members, or add them to it; return the group.

    Raises as `add_alias`.
    """
    return await _add(directory, address, members, is_group=True, at_ms=at_ms)


async def remove(directory: AliasDirectory, address: str, *, is_group: bool) -> None:
    """Remove an alias or group.

    Raises NotFound: there is no such alias or group. Refused: another address leads to it.
    """
    alias = await get_alias(directory, address, is_group=is_group)
    if sources := await directory.addresses_leading_to(alias.address):
        raise Refused(f"{alias.address} is a target of {_some(sources)}: change that first")
    await directory.remove_alias(alias.address)


async def remove_members(directory: AliasDirectory, address: str, members: Sequence[str]) -> Alias:
    """Remove members of a group; return the group.

    Raises NotFound: there is no such group or member. Refused: the group would be empty.
    """
    group = await get_alias(directory, address, is_group=True)
    removed = {normal_address(member) for member in members}
    for member in sorted(removed - set(group.targets)):
        raise NotFound(f"{member} is no member of {group.address}")
    if removed == set(group.targets):
        raise Refused(f"the group would be empty: postriver group remove {group.address}")
    for member in sorted(removed):
        await directory.remove_target(group.address, member)
    return await get_alias(directory, address, is_group=True)


async def set_catch_all(directory: AliasDirectory, domain: Domain, address: str | None) -> Domain:
    """Set the target of mail to unknown addresses of the domain; return the domain.

    None: such mail is refused.
    Raises NotFound: no such target. Refused: the target is not local.
    """
    target = "" if address is None else normal_address(address)
    await _check_targets(directory, [target] if target else [])
    await directory.set_catch_all(domain.domain_id, target)
    return msgspec.structs.replace(domain, catch_all=target)


async def get_alias(directory: AliasDirectory, address: str, *, is_group: bool) -> Alias:
    """The alias or group of `address`. Raises NotFound, with a text for the operator."""
    normal, kind = normal_address(address), _kind(is_group=is_group)
    row = (await directory.find([normal])).get(normal)
    if not isinstance(row, Alias) or row.is_group != is_group:
        raise NotFound(f"{normal} is no {kind} here: postriver {kind} list")
    return row


async def _add(
    directory: AliasDirectory, address: str, targets: Sequence[str], *, is_group: bool, at_ms: int
) -> Alias:
    normal = normal_address(address)
    domain = await _domain(directory, normal)
    alias = Alias(
        address=normal,
        domain_id=domain.domain_id,
        is_group=is_group,
        targets=tuple(sorted({normal_address(target) for target in targets})),
        created_at_ms=at_ms,
    )
    if normal in alias.targets:
        raise Refused(f"{normal} would lead to itself")
    await _check_free(directory, alias)
    await _check_targets(directory, alias.targets)
    await _check_expansion(directory, alias)
    await directory.add_alias(alias)
    return await get_alias(directory, normal, is_group=is_group)


async def _domain(directory: AliasDirectory, normal: str) -> Domain:
    name = split_address(normal)[1]
    domain = await directory.domain(name)
    if domain is None:
        raise NotFound(f"{name} is not a domain here: postriver domain add {name}")
    return domain


async def _check_free(directory: AliasDirectory, alias: Alias) -> None:
    """Raises AlreadyExists: the address is a user's, of the other kind, or has another target."""
    row = (await directory.find([alias.address])).get(alias.address)
    if isinstance(row, User):
        raise AlreadyExists(f"{alias.address} is a user")
    if row is None:
        return
    if row.is_group == alias.is_group and (alias.is_group or row.targets == alias.targets):
        return
    kind = _kind(is_group=row.is_group)
    raise AlreadyExists(f"{alias.address} is a{'n' * (kind == 'alias')} {kind} already")


async def _check_targets(directory: AliasDirectory, targets: Sequence[str]) -> None:
    """Raises Refused: a target is not local. NotFound: a target does not exist."""
    rows = await directory.find(targets)
    for target in targets:
        if target in rows:
            continue
        if await directory.domain(split_address(target)[1]) is None:
            raise Refused(f"{target} is in no domain here: mail is not forwarded to other servers")
        raise NotFound(f"{target} is no user, alias or group here")


async def _check_expansion(directory: AliasDirectory, alias: Alias) -> None:
    """Expand `alias`, and each address that leads to it, as if the alias existed.

    Raises Refused: the alias would lead to itself, or an expansion would exceed a limit.
    """

    async def find(addresses: Sequence[str]) -> dict[str, User | Alias]:
        rows = await directory.find(addresses)
        if alias.address in addresses:
            before = rows.get(alias.address)
            targets = {*alias.targets, *(before.targets if isinstance(before, Alias) else ())}
            rows[alias.address] = msgspec.structs.replace(alias, targets=tuple(sorted(targets)))
        return rows

    if alias.address in (await expand(find, alias.targets)).addresses:
        raise Refused(f"{alias.address} would lead to itself by way of {_some(alias.targets)}")
    for address in (alias.address, *await _sources(directory, alias.address)):
        await expand(find, [address])


async def _sources(directory: AliasDirectory, address: str) -> list[str]:
    """All aliases and groups that lead to `address` directly or through others."""
    sources: set[str] = set()
    level = {address}
    for _ in range(STEPS_MAX):
        next_level = {
            source
            for target in sorted(level)
            for source in await directory.addresses_leading_to(target)
        }
        level = {source for source in next_level if not source.startswith("*@")} - sources
        sources |= level
    return sorted(sources)


def _kind(*, is_group: bool) -> str:
    return "group" if is_group else "alias"


def _some(addresses: Sequence[str]) -> str:
    """The first three addresses and the number of the others, as text."""
    shown = ", ".join(addresses[:3])
    return shown if len(addresses) <= 3 else f"{shown} and {len(addresses) - 3} more"
