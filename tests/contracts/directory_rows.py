"""Rows of a directory for its contracts: one domain with postmaster, Ann and Bob."""

from typing import TypeVar

from mail.pagination import PAGE_MAX, PagedList, all_rows
from mail.ports import Directory
from schemas.directory import Alias, Domain, Session, SignIn, User

T = TypeVar("T")
EXAMPLE = Domain(domain_id="d1", name="example.org", created_at_ms=1)


def user(id_: str, address: str, *, domain_id: str = "d1", password_hash: str = "") -> User:
    return User(
        user_id=id_,
        domain_id=domain_id,
        address=address,
        disabled=False,
        created_at_ms=7,
        password_hash=password_hash,
    )


def session(token: str, user_id: str) -> Session:
    return Session(token_sha256=token, user_id=user_id, expires_at_ms=99)


def leads(address: str, *targets: str, is_group: bool = False) -> Alias:
    return Alias(
        address=address, domain_id="d1", is_group=is_group, targets=targets, created_at_ms=8
    )


def sign_in(number: int, user_id: str, *, at_ms: int = 0, outcome: str = "success") -> SignIn:
    return SignIn(
        sign_in_id=f"s{number:04d}",
        user_id=user_id,
        at_ms=at_ms,
        outcome=outcome,
        peer="192.0.2.7",
        user_agent="Mail/1.0",
    )


POSTMASTER = user("u0", "postmaster@example.org")
ANN = user("u1", "Ann.Lee@example.org", password_hash="hash")
BOB = user("u2", "bob@example.org")


async def settle(directory: Directory) -> Directory:
    """One domain with postmaster, Ann and Bob."""
    await directory.add_domain(EXAMPLE, POSTMASTER)
    await directory.add_user(ANN)
    await directory.add_user(BOB)
    return directory


async def rows(list_rows: PagedList[T], *, limit: int = PAGE_MAX) -> list[T]:
    return [row async for row in all_rows(list_rows, limit=limit)]
