"""postriver alias, postriver group. Every process uses a change when the command returns."""

import click

from cli.commands.domains_and_users import with_directory
from mail.clock import now_ms
from mail.directory import aliases
from mail.pagination import all_rows
from mail.ports import Directory
from schemas.directory import Alias


@click.group()
def alias() -> None:
    """Other addresses of a user, an alias or a group."""


@alias.command("add")
@click.argument("address")
@click.argument("target")
def alias_add(address: str, target: str) -> None:
    """Deliver mail for ADDRESS to TARGET: a user, an alias or a group here."""
    row = with_directory(lambda d: aliases.add_alias(d, address, target, at_ms=now_ms()))
    click.echo(_line(row))


@alias.command("list")
def alias_list() -> None:
    """One alias a line, with its target."""
    _list(is_group=False)


@alias.command("remove")
@click.argument("address")
def alias_remove(address: str) -> None:
    """Refuse mail for ADDRESS from now on."""
    with_directory(lambda directory: aliases.remove(directory, address, is_group=False))
    click.echo(f"{address} removed")


@click.group()
def group() -> None:
    """Addresses with several members."""


@group.command("add")
@click.argument("address")
@click.argument("members", nargs=-1, required=True)
def group_add(address: str, members: tuple[str, ...]) -> None:
    """Deliver mail for ADDRESS to all MEMBERS; they are added to an existing group."""
    row = with_directory(lambda d: aliases.add_members(d, address, members, at_ms=now_ms()))
    click.echo(_line(row))


@group.command("list")
def group_list() -> None:
    """One group a line, with its members."""
    _list(is_group=True)


@group.command("remove")
@click.argument("address")
@click.argument("members", nargs=-1)
def group_remove(address: str, members: tuple[str, ...]) -> None:
    """Remove MEMBERS; without MEMBERS, remove the group and refuse its mail from now on."""

    async def act(directory: Directory) -> str:
        if members:
            return _line(await aliases.remove_members(directory, address, members))
        await aliases.remove(directory, address, is_group=True)
        return f"{address} removed"

    click.echo(with_directory(act))


def _list(*, is_group: bool) -> None:
    async def act(directory: Directory) -> None:
        async for alias in all_rows(directory.list_aliases):
            if alias.is_group == is_group:
                click.echo(_line(alias))

    with_directory(act)


def _line(row: Alias) -> str:
    return f"{row.address}: {' '.join(row.targets)}"
