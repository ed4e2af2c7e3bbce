"""What may be an alias, a group or a catch-all: checked when it is made, so that no mail fails.

Every target is a user, an alias or a group here; nothing leads back to itself, nor beyond the
bounds of mail/directory/alias_expansion.py; a target of something cannot be removed. Errors are for
operators.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from mail.addresses import normal_address, split_address
from mail.directory.alias_expansion import STEPS_MAX, reach
from mail.errors import AlreadyExists, NotFound, Refused
from mail.ports import Addresses, Domains
from schemas.directory import Alias, Domain, User


class AliasDirectory(Addresses, Domains, Protocol):
    """The ports of the alias rules."""


async def add_alias(directory: AliasDirectory, address: str, target: str, *, at_ms: int) -> Alias:
    """Mail for `address` goes to the users behind `target`. AlreadyExists, NotFound, Refused."""
    return await _add(directory, address, [target], is_group=False, at_ms=at_ms)


async def add_members(
    directory: AliasDirectory, address: str, members: Sequence[str], *, at_ms: int
) -> Alias:
    """A group with these members, or these besides those it has. As `add_alias`."""
    return await _add(directory, address, members, is_group=True, at_ms=at_ms)


async def remove(directory: AliasDirectory, address: str, *, is_group: bool) -> None:
    """NotFound: there is no such alias or group. Refused: something leads to it."""
    alias = await known(directory, address, is_group=is_group)
    if leading := await directory.addresses_leading_to(alias.address):
        raise Refused(f"{alias.address} is where {_some(leading)} leads: change that first")
    await directory.remove_alias(alias.address)


async def remove_members(directory: AliasDirectory, address: str, members: Sequence[str]) -> Alias:
    """NotFound: no group, or no member. Refused: none would be left. The group after it."""
    group = await known(directory, address, is_group=True)
    going = {normal_address(member) for member in members}
    for member in sorted(going - set(group.targets)):
        raise NotFound(f"{member} is no member of {group.address}")
    if going == set(group.targets):
        raise Refused(f"nobody would be left: postriver group remove {group.address}")
    for member in sorted(going):
        await directory.remove_target(group.address, member)
    return await known(directory, address, is_group=True)


async def set_catch_all(directory: AliasDirectory, domain: Domain, address: str | None) -> Domain:
    """Whom mail reaches that has no other owner in the domain; None: nobody, it is refused."""
    target = "" if address is None else normal_address(address)
    await _check_targets(directory, [target] if target else [])
    await directory.set_catch_all(domain.domain_id, target)
    return msgspec.structs.replace(domain, catch_all=target)


async def known(directory: AliasDirectory, address: str, *, is_group: bool) -> Alias:
    """NotFound, in words for the operator."""
    normal, kind = normal_address(address), _kind(is_group=is_group)
    found = (await directory.find([normal])).get(normal)
    if not isinstance(found, Alias) or found.is_group != is_group:
        raise NotFound(f"{normal} is no {kind} here: postriver {kind} list")
    return found


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
    await _check_reach(directory, alias)
    await directory.add_alias(alias)
    return await known(directory, normal, is_group=is_group)


async def _domain(directory: AliasDirectory, normal: str) -> Domain:
    name = split_address(normal)[1]
    domain = await directory.domain(name)
    if domain is None:
        raise NotFound(f"{name} is not a domain here: postriver domain add {name}")
    return domain


async def _check_free(directory: AliasDirectory, alias: Alias) -> None:
    """AlreadyExists: it is a user's, of the other kind, or leads elsewhere."""
    taken = (await directory.find([alias.address])).get(alias.address)
    if isinstance(taken, User):
        raise AlreadyExists(f"{alias.address} is a user")
    if taken is None:
        return
    if taken.is_group == alias.is_group and (alias.is_group or taken.targets == alias.targets):
        return
    kind = _kind(is_group=taken.is_group)
    raise AlreadyExists(f"{alias.address} is a{'n' * (kind == 'alias')} {kind} already")


async def _check_targets(directory: AliasDirectory, targets: Sequence[str]) -> None:
    found = await directory.find(targets)
    for target in targets:
        if target in found:
            continue
        if await directory.domain(split_address(target)[1]) is None:
            raise Refused(f"{target} is in no domain here: mail is not passed on to elsewhere")
        raise NotFound(f"{target} is no user, alias or group here")


async def _check_reach(directory: AliasDirectory, alias: Alias) -> None:
    """With `alias` in place, follow it and everything that leads to it. Refused."""

    async def find(addresses: Sequence[str]) -> dict[str, User | Alias]:
        found = await directory.find(addresses)
        if alias.address in addresses:
            before = found.get(alias.address)
            targets = {*alias.targets, *(before.targets if isinstance(before, Alias) else ())}
            found[alias.address] = _leading(alias, targets)
        return found

    if alias.address in (await reach(find, alias.targets)).seen:
        raise Refused(f"{alias.address} would lead to itself by way of {_some(alias.targets)}")
    for address in (alias.address, *await _above(directory, alias.address)):
        await reach(find, [address])


async def _above(directory: AliasDirectory, address: str) -> list[str]:
    """Every alias and group that leads to `address`, in the end."""
    above: set[str] = set()
    level = {address}
    for _ in range(STEPS_MAX):
        leading = [
            one for each in sorted(level) for one in await directory.addresses_leading_to(each)
        ]
        level = {one for one in leading if not one.startswith("*@")} - above
        above |= level
    return sorted(above)


def _leading(alias: Alias, targets: set[str]) -> Alias:
    return msgspec.structs.replace(alias, targets=tuple(sorted(targets)))


def _kind(*, is_group: bool) -> str:
    return "group" if is_group else "alias"


def _some(addresses: Sequence[str]) -> str:
    shown = ", ".join(addresses[:3])
    return shown if len(addresses) <= 3 else f"{shown} and {len(addresses) - 3} more"
