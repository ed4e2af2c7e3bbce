"""postriver domain, postriver user: who has mail here. Known to every process on return."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from cli import accounts
from cli.commands.quotas import domain_quota, user_quota
from cli.wiring.profile import open_directory
from mail.clock import rfc3339
from mail.directory import aliases
from mail.errors import Refused
from mail.ports import Directory
from schemas.directory import SignIn

T = TypeVar("T")


def with_directory(act: Callable[[Directory], Awaitable[T]]) -> T:
    """Run `act` on the directory of the configured home."""

    async def run() -> T:
        async with open_directory() as directory:
            return await act(directory)

    return asyncio.run(run())


@click.group()
def domain() -> None:
    """Domains whose mail is taken."""


@domain.command("add")
@click.argument("name")
def domain_add(name: str) -> None:
    """Take mail for NAME; its postmaster@ is made too."""
    added = with_directory(lambda directory: accounts.add_domain(directory, name))
    click.echo(f"{added.name} added; next: postriver user add SOMEBODY@{added.name}")


@domain.command("list")
def domain_list() -> None:
    """One domain a line."""
    for row in with_directory(lambda directory: directory.domains()):
        click.echo(row.name)


@domain.command("postmaster")
@click.argument("name")
@click.argument("address", required=False)
def domain_postmaster(name: str, address: str | None) -> None:
    """Who reads postmaster@NAME, abuse@NAME and our own notices; with ADDRESS, name that user."""
    found = with_directory(lambda directory: accounts.name_postmaster(directory, name, address))
    note = "" if found.password_hash else " (cannot sign in: postriver user passwd)"
    click.echo(f"{found.address} reads postmaster@{name} and abuse@{name}{note}")


@domain.command("catch-all")
@click.argument("name")
@click.argument("address", required=False)
@click.option("--none", "nobody", is_flag=True, help="Refuse it, as at the beginning.")
def domain_catch_all(name: str, address: str | None, *, nobody: bool) -> None:
    """Mail for NAME that has no other owner goes to ADDRESS; without one, tell who has it."""
    if nobody and address is not None:
        raise Refused("an ADDRESS and --none exclude each other")

    async def act(directory: Directory) -> str:
        found = await accounts.find_domain(directory, name)
        if nobody or address is not None:
            found = await aliases.set_catch_all(directory, found, address)
        return found.catch_all

    caught = with_directory(act)
    click.echo(f"*@{name}: {caught}" if caught else f"*@{name}: nobody, such mail is refused")


domain.add_command(domain_quota)


@click.group()
def user() -> None:
    """Users and their passwords."""


user.add_command(user_quota)
PASSWORD_STDIN = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input."
)


@user.command("add")
@click.argument("address")
@PASSWORD_STDIN
def user_add(address: str, *, password_stdin: bool) -> None:
    """Make a mailbox; without --password-stdin a random password is printed."""
    password = _from_stdin() if password_stdin else None
    _tell("added", with_directory(lambda d: accounts.add_user(d, address, password)))


@user.command("passwd")
@click.argument("address")
@PASSWORD_STDIN
def user_passwd(address: str, *, password_stdin: bool) -> None:
    """Set a new password and end the user's sessions."""
    password = _from_stdin() if password_stdin else None
    _tell("changed", with_directory(lambda d: accounts.set_password(d, address, password)))


@user.command("disable")
@click.argument("address")
@click.option("--undo", is_flag=True, help="Let the user sign in again.")
def user_disable(address: str, *, undo: bool) -> None:
    """Refuse sign-in and end sessions; mail for the address is still taken."""

    async def act(directory: Directory) -> str:
        found = await accounts.find(directory, address)
        await directory.set_disabled(found.user_id, disabled=not undo)
        return found.address

    click.echo(f"{with_directory(act)} {'enabled' if undo else 'disabled'}")


@user.command("logins")
@click.argument("address")
@click.option("--limit", default=50, type=click.IntRange(1, 3_000), show_default=True)
def user_logins(address: str, limit: int) -> None:
    """Who tried to sign in as this user, newest first: time, outcome, peer, program."""

    async def act(directory: Directory) -> list[SignIn]:
        found = await accounts.find(directory, address)
        return await directory.sign_ins(found.user_id, limit=limit)

    for row in with_directory(act):
        click.echo(
            f"{rfc3339(row.at_ms)} {row.outcome:8} {row.peer or '-'} {row.user_agent or '-'}"
        )


@user.command("list")
def user_list() -> None:
    """One address a line; those who cannot sign in say why."""
    for row in with_directory(lambda directory: directory.users()):
        note = " (disabled)" if row.disabled else "" if row.password_hash else " (no password)"
        click.echo(f"{row.address}{note}")


def _from_stdin() -> str:
    """Standard input as UTF-8, less one trailing newline."""
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise Refused("the password on standard input is not UTF-8") from None
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")


def _tell(done: str, made: accounts.CreatedUser) -> None:
    click.echo(f"{made.address} {done}" + (f", password {made.password}" if made.password else ""))
