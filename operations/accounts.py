"""Domains, users and passwords, as an operator creates and changes them.

A change is in the directory when a function returns; every process reads it there.
"""

import asyncio
from dataclasses import dataclass

from mail.addresses import POSTMASTER, normal_address, normal_domain, split_address
from mail.clock import now_ms
from mail.directory import aliases
from mail.directory.password_rules import fault_in
from mail.directory.passwords import hash_password, random_password
from mail.directory.recipient_resolver import postmaster_setting
from mail.errors import NotFound, Refused
from mail.ids import new_id
from mail.pagination import all_rows
from mail.ports import Directory, Domains, Users
from schemas.directory import AppPassword, Domain, SignIn, User, UserRole
from schemas.ids import DomainId, UserId

FIRST_DOMAIN = "postriver.test"  # RFC 6761: never resolves outside
FIRST_USERS = ("alice", "bob")


@dataclass(frozen=True, slots=True)
class CreatedUser:
    """A user with a new password; `password` is set only if it was generated here.

    A generated password is shown once and not stored.
    """

    address: str
    password: str | None


async def add_domain(domains: Domains, name: str) -> Domain:
    """Add a domain and its postmaster@ (RFC 5321 §4.5.1), who cannot sign in without a password."""
    domain = Domain(domain_id=DomainId(new_id()), name=normal_domain(name), created_at_ms=now_ms())
    postmaster = User(
        user_id=UserId(new_id()),
        domain_id=domain.domain_id,
        address=f"postmaster@{domain.name}",
        disabled=False,
        created_at_ms=now_ms(),
    )
    await domains.add_domain(domain, postmaster)
    return domain


async def postmaster_of(directory: Directory, name: str) -> User:
    """Return the user who reads postmaster@ and abuse@ of the domain. Raises NotFound."""
    domain = await get_domain(directory, name)
    user_id = await directory.setting(postmaster_setting(domain))
    user = await directory.user(UserId(user_id)) if user_id else None
    return user or await get_user(directory, f"{POSTMASTER}@{domain.name}")


async def set_postmaster(directory: Directory, name: str, address: str) -> User:
    """Make `address` the reader of postmaster@ and abuse@ of the domain. Raises NotFound.

    The user may be in another domain here, so that one person can read for many domains.
    """
    domain = await get_domain(directory, name)
    user = await get_user(directory, address)
    await directory.set_setting(postmaster_setting(domain), user.user_id)
    return user


async def set_catch_all(directory: Directory, name: str, address: str | None) -> Domain:
    """Set the owner of mail for unknown addresses of the domain; None refuses such mail.

    Raises NotFound: no such domain or target; Refused: the target is in no domain here.
    """
    return await aliases.set_catch_all(directory, await get_domain(directory, name), address)


async def add_user(directory: Directory, address: str, password: str | None) -> CreatedUser:
    """Add a user to a domain here; without `password` a random password is generated.

    Raises AlreadyExists; NotFound: no such domain; Refused: the password is against the rules.
    """
    normal = normal_address(address)
    domain = await directory.domain(split_address(normal)[1])
    if domain is None:
        raise NotFound(f"{split_address(normal)[1]} is not a domain here: postriver domain add")
    secret = random_password() if password is None else _checked_password(password, normal)
    await directory.add_user(
        User(
            user_id=UserId(new_id()),
            domain_id=domain.domain_id,
            address=normal,
            disabled=False,
            created_at_ms=now_ms(),
            password_hash=await asyncio.to_thread(hash_password, secret),
        )
    )
    return CreatedUser(normal, secret if password is None else None)


async def set_password(
    users: Users, address: str, password: str | None, *, revoke_app_passwords: bool = False
) -> CreatedUser:
    """Change the password and end the user's sessions; None generates a random password.

    Application passwords are kept unless `revoke_app_passwords`.
    Raises NotFound; Refused: the password is against the rules.
    """
    user = await get_user(users, address)
    secret = random_password() if password is None else _checked_password(password, user.address)
    await users.set_password(
        user.user_id,
        await asyncio.to_thread(hash_password, secret),
        revoke_app_passwords=revoke_app_passwords,
    )
    return CreatedUser(user.address, secret if password is None else None)


async def set_disabled(users: Users, address: str, *, disabled: bool) -> User:
    """Refuse sign-in and end sessions, or allow sign-in; mail is accepted in both cases.

    Raises NotFound.
    """
    user = await get_user(users, address)
    await users.set_disabled(user.user_id, disabled=disabled)
    return user


async def set_role(users: Users, address: str, role: UserRole) -> User:
    """Make the user an operator, or a user without special rights. Raises NotFound."""
    user = await get_user(users, address)
    await users.set_role(user.user_id, role)
    return user


async def sign_ins(directory: Directory, address: str, *, limit: int) -> list[SignIn]:
    """Return the latest attempts to sign in as the user, newest first. Raises NotFound."""
    user = await get_user(directory, address)
    return await directory.sign_ins(user.user_id, limit=limit)


async def app_passwords(directory: Directory, address: str) -> list[AppPassword]:
    """Return the user's application passwords, newest first. Raises NotFound."""
    user = await get_user(directory, address)
    return await directory.app_passwords(user.user_id)


async def revoke_app_password(directory: Directory, address: str, app_password_id: str) -> None:
    """Revoke one application password of the user. Raises NotFound."""
    user = await get_user(directory, address)
    try:
        await directory.revoke_app_password(user.user_id, app_password_id)
    except NotFound:
        raise NotFound(
            f"{address} has no application password {app_password_id}:"
            f" see postriver user app-passwords {address}"
        ) from None


async def get_user(users: Users, address: str) -> User:
    """Return the user. Raises NotFound, with a text for the operator."""
    user = await users.user_by_address(normal_address(address))
    if user is None:
        raise NotFound(f"no user {address}: see postriver user list")
    return user


async def get_users(users: Users, address: str | None) -> list[User]:
    """Return the user of `address`, or every user. Raises NotFound."""
    if address is not None:
        return [await get_user(users, address)]
    return [user async for user in all_rows(users.list_users)]


async def get_domain(domains: Domains, name: str) -> Domain:
    """Return the domain. Raises NotFound, with a text for the operator."""
    domain = await domains.domain(name)
    if domain is None:
        raise NotFound(f"{name} is not a domain here: postriver domain list")
    return domain


async def seed(directory: Directory) -> list[CreatedUser]:
    """Add the first domain and its users; return [] if there is a domain already."""
    if (await directory.list_domains(limit=1)).rows:
        return []
    await add_domain(directory, FIRST_DOMAIN)
    return [await add_user(directory, f"{name}@{FIRST_DOMAIN}", None) for name in FIRST_USERS]


def _checked_password(password: str, address: str) -> str:
    if fault := fault_in(password, address=address):
        raise Refused(fault)
    return password
