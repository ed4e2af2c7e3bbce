"""Addresses that a user may write in From: never one that leads to another user."""

import pytest

from mail.directory.own_addresses import is_own, own_addresses
from schemas.directory import Alias, Domain, User
from stores.memory import MemoryDirectory

USERS = ("alice", "bob", "alice+bob")
ALIASES = {
    "a.lee": ("alice", False), "sales": ("a.lee", False), "team": ("alice", True),
    "alice+team": ("bob", False), "sales+own": ("alice", False),
}  # fmt: skip


def user(name: str) -> User:
    return User(
        user_id=name, domain_id="d", address=f"{name}@p.test", disabled=False, created_at_ms=1
    )


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("alice@p.test", True),
        ("ALICE+x@P.test", True),
        ("a.lee+x@p.test", True),
        ("sales@p.test", True),
        ("sales+own@p.test", True),
        ("alice+team@p.test", False),  # an alias of bob
        ("alice+bob@p.test", False),  # another user
        ("team@p.test", False),
        ("bob@p.test", False),
        ("alice@other.test", False),
        ("alice", False),
    ],
)
async def test_is_own(address: str, *, expected: bool) -> None:
    directory = MemoryDirectory()
    domain = Domain(domain_id="d", name="p.test", created_at_ms=0)
    await directory.add_domain(domain, user("postmaster"))
    for name in USERS:
        await directory.add_user(user(name))
    for name, (target, is_group) in ALIASES.items():
        await directory.add_alias(
            Alias(address=f"{name}@p.test", domain_id="d", is_group=is_group,
                  targets=(f"{target}@p.test",), created_at_ms=1)
        )  # fmt: skip
    own = await own_addresses(directory, user("alice"))
    assert await is_own(directory, address, own) is expected
