"""Domains and users as an operator makes them: ids, first users, passwords."""

import asyncio
import os
import pwd
import secrets
from dataclasses import dataclass

from mail.addresses import POSTMASTER, normal_address, normal_domain, split_address
from mail.clock import now_ms
from mail.directory.password_rules import fault_in
from mail.directory.passwords import hash_password, random_password
from mail.directory.recipient_resolver import postmaster_setting
from mail.errors import NotFound, Refused
from mail.ids import new_id
from mail.ports import Directory
from schemas.directory import Domain, User

FIRST_DOMAIN = "postriver.test"  # RFC 6761: never resolves outside
FIRST_USERS = ("alice", "bob")


@dataclass(frozen=True, slots=True)
class CreatedUser:
    """A new user, and the password where we made it up: shown once, kept nowhere."""

    address: str
    password: str | None


def operator() -> str:
    """Who runs this command, by the system's own word; ask before becoming another user."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


async def add_domain(directory: Directory, name: str) -> Domain:
    """A domain and its postmaster@ (RFC 5321 §4.5.1), who cannot sign in until given a password."""
    domain = Domain(domain_id=new_id(), name=normal_domain(name), created_at_ms=now_ms())
    postmaster = User(
        user_id=new_id(),
        domain_id=domain.domain_id,
        address=f"postmaster@{domain.name}",
        disabled=False,
        created_at_ms=now_ms(),
    )
    await directory.add_domain(domain, postmaster)
    return domain


async def name_postmaster(directory: Directory, name: str, address: str | None) -> User:
    """Who reads postmaster@ and abuse@ of a domain; with `address` that user from now on. NotFound.

    It may be a user of another domain here: one pair of eyes for many.
    """
    domain = await find_domain(directory, name)
    if address is not None:
        user = await find(directory, address)
        await directory.set_setting(postmaster_setting(domain), user.user_id)
    named = await directory.setting(postmaster_setting(domain))
    found = await directory.user(named) if named else None
    return found or await find(directory, f"{POSTMASTER}@{domain.name}")


async def add_user(directory: Directory, address: str, password: str | None) -> CreatedUser:
    """A user of one of our domains; without `password` a random one. AlreadyExists, NotFound."""
    normal = normal_address(address)
    domain = await directory.domain(split_address(normal)[1])
    if domain is None:
        raise NotFound(f"{split_address(normal)[1]} is not a domain here: postriver domain add")
    secret = random_password() if password is None else _checked(password, normal)
    await directory.add_user(
        User(
            user_id=new_id(),
            domain_id=domain.domain_id,
            address=normal,
            disabled=False,
            created_at_ms=now_ms(),
            password_hash=await asyncio.to_thread(hash_password, secret),
        )
    )
    return CreatedUser(normal, secret if password is None else None)


async def set_password(directory: Directory, address: str, password: str | None) -> CreatedUser:
    """Change a password and end the user's sessions. NotFound."""
    user = await find(directory, address)
    secret = random_password() if password is None else _checked(password, user.address)
    await directory.set_password(user.user_id, await asyncio.to_thread(hash_password, secret))
    return CreatedUser(user.address, secret if password is None else None)


async def find(directory: Directory, address: str) -> User:
    """NotFound, in words for the operator."""
    user = await directory.user_by_address(normal_address(address))
    if user is None:
        raise NotFound(f"no user {address}: see postriver user list")
    return user


async def find_domain(directory: Directory, name: str) -> Domain:
    """NotFound, in words for the operator."""
    domain = await directory.domain(name)
    if domain is None:
        raise NotFound(f"{name} is not a domain here: postriver domain list")
    return domain


async def seed(directory: Directory) -> list[CreatedUser]:
    """The first domain and its users, where there is no domain yet."""
    if await directory.domains():
        return []
    await add_domain(directory, FIRST_DOMAIN)
    return [await add_user(directory, f"{name}@{FIRST_DOMAIN}", None) for name in FIRST_USERS]


def _checked(password: str, address: str) -> str:
    if fault := fault_in(password, address=address):
        raise Refused(fault)
    return password


def new_token() -> str:
    """A bearer token: 256 random bits."""
    return secrets.token_urlsafe(32)
