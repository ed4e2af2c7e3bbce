"""Alias expansion: follow aliases and groups to their users, up to fixed limits."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from mail.errors import Refused
from schemas.directory import Alias, User

USERS_MAX = 1_000  # users of one address
ADDRESSES_MAX = 2_000  # addresses that one expansion looks up
STEPS_MAX = 5  # depth of nesting: aliases and groups within each other

FindAddresses = Callable[[Sequence[str]], Awaitable[dict[str, User | Alias]]]  # as Addresses.find


class ExpansionLimitExceeded(Refused):
    """An address expands beyond one of the limits."""


@dataclass(slots=True)
class Expansion:
    """The users of an address by id, and all addresses that were looked up."""

    users: dict[str, User] = field(default_factory=dict)
    addresses: set[str] = field(default_factory=set)


async def expand(find: FindAddresses, addresses: Iterable[str]) -> Expansion:
    """Expand `addresses` to users. Unknown addresses are skipped; a loop is followed once.

    Each step looks up all its addresses by one `find`.
    Raises ExpansionLimitExceeded: there are too many users, addresses or steps.
    """
    expansion, pending, steps = Expansion(), sorted(set(addresses)), 0
    while pending:
        expansion.addresses.update(pending)
        rows = (await find(pending)).values()
        expansion.users |= {row.user_id: row for row in rows if isinstance(row, User)}
        targets = {target for row in rows if isinstance(row, Alias) for target in row.targets}
        pending = sorted(targets - expansion.addresses)
        steps += 1
        _check_limits(expansion, steps if pending else 0)
    return expansion


def _check_limits(expansion: Expansion, steps: int) -> None:
    if len(expansion.users) > USERS_MAX:
        raise ExpansionLimitExceeded(f"it would reach more than {USERS_MAX} users")
    if len(expansion.addresses) > ADDRESSES_MAX:
        raise ExpansionLimitExceeded(f"it would expand to more than {ADDRESSES_MAX} addresses")
    if steps > STEPS_MAX:
        raise ExpansionLimitExceeded(
            f"aliases and groups would be nested more than {STEPS_MAX} deep"
        )
