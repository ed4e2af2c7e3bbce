"""postriver domain, postriver user. Every process uses a change when the command returns."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from cli.commands.domain_records import domain_dkim, domain_dns
from cli.commands.quotas import domain_quota, user_quota
from cli.commands.sending_limits import domain_limits, user_limits
from cli.config.config import load
from cli.wiring.profile import open_directory
from cli.wiring.service_key import service_key
from mail.clock import rfc3339
from mail.errors import Refused
from mail.pagination import all_rows
from mail.ports import Directory
from mail.sending.dkim.keyring import DkimKeyrings
from operations import accounts, domain_records
from schemas.directory import AppPassword, Domain, SignIn, UserRole

T = TypeVar("T")
ROLES = ("operator", "user", "none")  # `none` is another name of `user`


def with_directory(act: Callable[[Directory], Awaitable[T]]) -> T:
    """Run `act` on the directory of the configured state folder; return its result."""

    async def run() -> T:
        async with open_directory() as directory:
            return await act(directory)

    return asyncio.run(run())


@click.group()
def domain() -> None:
    """Domains that mail is accepted for."""


@domain.command("add")
@click.argument("name")
def domain_add(name: str) -> None:
    """Accept mail for NAME; its postmaster@ and its keys of signatures are created too."""

    async def act(directory: Directory) -> Domain:
        keyrings = DkimKeyrings(directory, service_key(load()))
        return await domain_records.add_signed_domain(directory, keyrings, name)

    added = with_directory(act)
    click.echo(f"{added.name} added; next: postriver user add NAME@{added.name}")
    click.echo(f"its DNS records: postriver domain dns {added.name}")


@domain.command("list")
def domain_list() -> None:
    """One domain a line."""

    async def act(directory: Directory) -> None:
        async for row in all_rows(directory.list_domains):
            click.echo(row.name)

    with_directory(act)


@domain.command("postmaster")
@click.argument("name")
@click.argument("address", required=False)
def domain_postmaster(name: str, address: str | None) -> None:
    """Show who reads postmaster@NAME, abuse@NAME and the notices; with ADDRESS, set that user."""
    if address is None:
        reader = with_directory(lambda directory: accounts.postmaster_of(directory, name))
    else:
        reader = with_directory(lambda directory: accounts.set_postmaster(directory, name, address))
    note = "" if reader.password_hash else " (cannot sign in: postriver user passwd)"
    click.echo(f"{reader.address} reads postmaster@{name} and abuse@{name}{note}")


@domain.command("catch-all")
@click.argument("name")
@click.argument("address", required=False)
@click.option("--none", "refuse", is_flag=True, help="Refuse such mail, which is the default.")
def domain_catch_all(name: str, address: str | None, *, refuse: bool) -> None:
    """Deliver mail for unknown addresses of NAME to ADDRESS; without ADDRESS, show the owner."""
    if refuse and address is not None:
        raise Refused("an ADDRESS and --none exclude each other")
    if refuse or address is not None:
        row = with_directory(lambda directory: accounts.set_catch_all(directory, name, address))
    else:
        row = with_directory(lambda directory: accounts.get_domain(directory, name))
    click.echo(f"*@{name}: {row.catch_all or 'nobody, such mail is refused'}")


domain.add_command(domain_quota)
domain.add_command(domain_limits)
domain.add_command(domain_dns)
domain.add_command(domain_dkim)


@click.group()
def user() -> None:
    """Users and their passwords."""


user.add_command(user_quota)
user.add_command(user_limits)
PASSWORD_STDIN = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input."
)


@user.command("add")
@click.argument("address")
@PASSWORD_STDIN
def user_add(address: str, *, password_stdin: bool) -> None:
    """Add a user with a mailbox; without --password-stdin a random password is printed."""
    password = _from_stdin() if password_stdin else None
    _echo_user("added", with_directory(lambda d: accounts.add_user(d, address, password)))


@user.command("passwd")
@click.argument("address")
@PASSWORD_STDIN
@click.option("--revoke-app-passwords", is_flag=True, help="Revoke all application passwords too.")
def user_passwd(address: str, *, password_stdin: bool, revoke_app_passwords: bool) -> None:
    """Set a new password and end the user's sessions."""
    password = _from_stdin() if password_stdin else None
    changed = with_directory(
        lambda directory: accounts.set_password(
            directory, address, password, revoke_app_passwords=revoke_app_passwords
        )
    )
    _echo_user("changed", changed)


@user.command("app-passwords")
@click.argument("address")
@click.option("--revoke", "revoked_id", metavar="ID", help="Revoke the one with this id.")
def user_app_passwords(address: str, revoked_id: str | None) -> None:
    """Application passwords of this user, newest first: id, scopes, creation, last use, name."""
    if revoked_id is not None:
        with_directory(lambda d: accounts.revoke_app_password(d, address, revoked_id))
        click.echo(f"{revoked_id} revoked")
        return
    for row in with_directory(lambda directory: accounts.app_passwords(directory, address)):
        click.echo(app_password_line(row))


@user.command("disable")
@click.argument("address")
@click.option("--undo", is_flag=True, help="Let the user sign in again.")
def user_disable(address: str, *, undo: bool) -> None:
    """Refuse sign-in and end sessions; mail for the address is still accepted."""
    row = with_directory(
        lambda directory: accounts.set_disabled(directory, address, disabled=not undo)
    )
    click.echo(f"{row.address} {'enabled' if undo else 'disabled'}")


@user.command("role")
@click.argument("address")
@click.argument("role", type=click.Choice(ROLES), required=False)
def user_role(address: str, role: str | None) -> None:
    """Make ADDRESS an operator, who may use the admin API, or a user; without ROLE, show it."""
    if role is None:
        row = with_directory(lambda directory: accounts.get_user(directory, address))
        click.echo(f"{row.address}: {row.role}")
        return
    given: UserRole = "operator" if role == "operator" else "user"
    row = with_directory(lambda directory: accounts.set_role(directory, address, given))
    click.echo(f"{row.address}: {given}")


@user.command("logins")
@click.argument("address")
@click.option("--limit", default=50, type=click.IntRange(1, 3_000), show_default=True)
def user_logins(address: str, limit: int) -> None:
    """Attempts to sign in as this user, newest first.

    Each line has time, outcome, protocol, client address, program, and the application password.
    """
    for row in with_directory(lambda directory: accounts.sign_ins(directory, address, limit=limit)):
        click.echo(sign_in_line(row))


@user.command("list")
def user_list() -> None:
    """One address a line, with the role and the reason if the user cannot sign in."""

    async def act(directory: Directory) -> None:
        async for row in all_rows(directory.list_users):
            note = " (disabled)" if row.disabled else "" if row.password_hash else " (no password)"
            role = "" if row.role == "user" else f" ({row.role})"
            click.echo(f"{row.address}{role}{note}")

    with_directory(act)


def _from_stdin() -> str:
    """Return standard input, decoded as UTF-8, without one trailing line end. Raises Refused."""
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise Refused("the password on standard input is not UTF-8") from None
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")


def _echo_user(done: str, user: accounts.CreatedUser) -> None:
    click.echo(f"{user.address} {done}" + (f", password {user.password}" if user.password else ""))


def app_password_line(row: AppPassword) -> str:
    """Id, scopes, creation, last use, name."""
    used = f"{rfc3339(row.used_at_ms)} {row.used_protocol} {row.used_network or '-'}"
    return (
        f"{row.app_password_id} {','.join(row.scopes):9} {rfc3339(row.created_at_ms)}"
        f" {used if row.used_at_ms else 'never used'} {row.name}"
    )


def sign_in_line(row: SignIn) -> str:
    """Time, outcome, protocol, client address, program, application password."""
    used = f" by {row.app_password_name}" if row.app_password_id else ""
    missing = f", which has no scope {row.missing_scope}" if row.missing_scope else ""
    return (
        f"{rfc3339(row.at_ms)} {row.outcome:8} {row.protocol or '-'} {row.peer or '-'}"
        f" {row.user_agent or '-'}{used}{missing}"
    )
