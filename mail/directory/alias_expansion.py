"""Where aliases and groups lead in the end, within bounds."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from mail.errors import Refused
from schemas.directory import Alias, User

USERS_MAX = 1_000  # whom one address reaches
ADDRESSES_MAX = 2_000  # that are looked at on the way
STEPS_MAX = 5  # aliases and groups that lead to each other, one behind the other

FindAddresses = Callable[[Sequence[str]], Awaitable[dict[str, User | Alias]]]  # as Directory.find


class ExpansionLimitExceeded(Refused):
    """Beyond one of the bounds."""


@dataclass(slots=True)
class Expansion:
    """Users by id, and every address on the way."""

    users: dict[str, User] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)


async def reach(find: FindAddresses, addresses: Iterable[str]) -> Expansion:
    """All users behind `addresses`; what is not known is passed over, a loop is walked once.

    One `find` a step, however many addresses it has. ExpansionLimitExceeded.
    """
    done, ahead, steps = Expansion(), sorted(set(addresses)), 0
    while ahead:
        done.seen.update(ahead)
        found = await find(ahead)
        users = [one for one in found.values() if isinstance(one, User)]
        done.users |= {user.user_id: user for user in users}
        aliases = [one for one in found.values() if isinstance(one, Alias)]
        ahead = sorted({target for one in aliases for target in one.targets} - done.seen)
        steps += 1
        _check(done, steps if ahead else 0)
    return done


def _check(done: Expansion, steps: int) -> None:
    if len(done.users) > USERS_MAX:
        raise ExpansionLimitExceeded(f"it would reach more than {USERS_MAX} users")
    if len(done.seen) > ADDRESSES_MAX:
        raise ExpansionLimitExceeded(f"it would lead over more than {ADDRESSES_MAX} addresses")
    if steps > STEPS_MAX:
        raise ExpansionLimitExceeded(
            f"more than {STEPS_MAX} aliases and groups would stand behind each other"
        )
