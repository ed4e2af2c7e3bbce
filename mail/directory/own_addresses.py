"""Addresses of a user: the account's address and the aliases that lead to the user.

Groups are left out, since their mail reaches other users too, and so is a catch-all.
"""

from mail.addresses import address_at, normal_address, split_address
from mail.directory.alias_expansion import STEPS_MAX
from mail.errors import BadAddress
from mail.ports import Addresses
from schemas.directory import Alias, User

_DETAIL = "+"  # bob+detail is an address of bob (RFC 5233)


async def own_addresses(addresses: Addresses, user: User) -> tuple[str, ...]:
    """The account's address as the operator wrote it, then the aliases in normal form, sorted."""
    account = normal_address(user.address)
    known, level = {account}, {account}
    for _ in range(STEPS_MAX):
        sources = {
            source for target in sorted(level)
            for source in await addresses.addresses_leading_to(target)
        } - known  # fmt: skip
        rows = await addresses.find(sorted(sources)) if sources else {}
        level = {
            address for address, row in rows.items() if isinstance(row, Alias) and not row.is_group
        }
        known |= level
    return (user.address, *sorted(known - {account}))


async def is_own(addresses: Addresses, address: str, own: tuple[str, ...]) -> bool:
    """Whether `address` is one of `own`, or one of them with a detail.

    The directory may have such an address of its own, which leads to another user.
    """
    try:
        normal = normal_address(address)
        local, domain = split_address(normal)
        base = address_at(local.partition(_DETAIL)[0] or local, domain)
    except BadAddress:
        return False
    known = set(map(normal_address, own))
    return normal in known or (base in known and not await addresses.find([normal]))
