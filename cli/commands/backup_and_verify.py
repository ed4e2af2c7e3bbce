"""postriver backup, restore, verify, rebuild."""

import asyncio
import os
from pathlib import Path

import click

from agents.ports import IndexPorts
from cli.backup.backup import back_up
from cli.backup.manifest import Manifest
from cli.backup.restore import restore as restore_into
from cli.config.config import Config, load
from cli.stack_addresses import load_running
from cli.wiring.profile import adapters, become_owner, bootstrap
from mail.errors import BrokerUnavailable, Refused
from operations.accounts import get_users
from operations.ports import OutlinePorts
from operations.rebuild import rebuild_index, rebuild_views, rebuild_whole_index
from operations.rebuild_outlines import rebuild_all_outlines, rebuild_outlines
from operations.verify import MailboxVerifier
from schemas.consistency import COUNTS, INDEX, LISTS, OUTLINES
from schemas.events.mailbox_events import REFUSED, UNCHANGED
from stack.privileges import PrivilegeError, become, opened_folder
from stack.state_folder import lock_holder

FOLDER = click.Path(file_okay=False, path_type=Path)
MIB = 1024 * 1024


@click.command()
@click.argument("folder", type=FOLDER)
@click.option(
    "--without-log", is_flag=True, help="Leave out mail that is in the log: the broker is gone."
)
def backup(folder: Path, *, without_log: bool) -> None:
    """Copy everything into the empty FOLDER while Postriver runs."""
    config, folder = load_running(), folder.absolute()
    _give_to_owner(folder, config.home)
    become_owner(config)
    try:
        manifest = back_up(config, folder, bootstrap=None if without_log else bootstrap())
    except BrokerUnavailable as error:
        raise Refused(
            f"{error}: mail in the log is read from the running broker. Start with postriver up, "
            "or use --without-log to save everything else"
        ) from error
    click.echo(f"backup in {folder}: {_summary(manifest)}")


@click.command()
@click.argument("folder", type=FOLDER)
def restore(folder: Path) -> None:
    """Fill the empty state folder from the backup in FOLDER."""
    config, folder = load(), folder.absolute()
    if (pid := lock_holder(config.home)) is not None:
        raise Refused(f"{config.home} is in use by pid {pid}: postriver down")
    try:
        become(config.home)
    except PrivilegeError as error:
        raise Refused(str(error)) from error
    manifest = restore_into(config, folder)
    click.echo(f"restored into {config.home}: {_summary(manifest)}")
    for name, value in sorted(manifest.settings.items()):
        if config.as_settings().get(name) != value and not name.endswith(("HOME", "TOOLS", "PORT")):
            click.echo(f"  note  {name} was {value!r}")
    click.echo("next: postriver up")


@click.command()
@click.option("--user", "address", metavar="ADDRESS", help="This mailbox only.")
@click.option(
    "--content", "all_contents", is_flag=True, help="Read every content, and compare its outline."
)
def verify(*, address: str | None, all_contents: bool) -> None:
    """Compare views, contents, holders and index with the journals; exit code 1 if any differ."""
    raise SystemExit(
        1 if asyncio.run(_verify(load_running(), address, all_contents=all_contents)) else 0
    )


@click.command()
@click.argument("part", type=click.Choice([LISTS, COUNTS, INDEX, OUTLINES]))
@click.option("--user", "address", metavar="ADDRESS", help="This mailbox only.")
def rebuild(part: str, address: str | None) -> None:
    """Write PART again from journals and contents, while Postriver runs.

    Correct rows stay unchanged.
    """
    config = load_running()
    if part == INDEX:
        asyncio.run(_rebuild_index(config, address))
    elif part == OUTLINES:
        asyncio.run(_rebuild_outlines(config, address))
    else:
        asyncio.run(_rebuild(config, address, part))


async def _verify(config: Config, address: str | None, *, all_contents: bool) -> int:
    """Print the differences; return their number."""
    async with adapters(config) as opened:
        verifier = MailboxVerifier(
            store=await opened.mail_store(),
            contents=await opened.contents(),
            outlines=await opened.outlines(),
            parser=opened.parser(),
            holders=await opened.holders(),
            search=await opened.search(),
            uploads=await opened.uploads(),
            all_contents=all_contents,
        )
        users = await get_users(await opened.directory(), address)
        messages = differences = 0
        for user in users:
            count, found = await verifier.verify(user.user_id)
            messages, differences = messages + count, differences + found.number
            for row in found.differences:
                click.echo(f"{user.address}  {row.part}: {row.what}")
            if found.more:
                click.echo(f"{user.address}  and {found.more} more differences")
    click.echo(f"{len(users)} mailboxes, {messages} messages: {differences} differences")
    return differences


async def _rebuild(config: Config, address: str | None, part: str) -> None:
    async with adapters(config) as opened:
        users = await get_users(await opened.directory(), address)
    refused = 0
    async for user, answer in rebuild_views(config.bootstrap, users, part):
        refused += answer.outcome == REFUSED
        if answer.outcome != UNCHANGED:
            click.echo(f"{user.address}  {answer.outcome}: {answer.detail}")
    click.echo(f"{len(users)} mailboxes checked")
    if refused:
        raise Refused(f"{refused} cannot be rebuilt: see docs/operations.md")


async def _rebuild_index(config: Config, address: str | None) -> None:
    async with adapters(config) as opened:
        ports = IndexPorts(
            store=await opened.mail_store(),
            contents=await opened.contents(),
            search=await opened.search(),
        )
        users = await get_users(await opened.directory(), address)
        whole = await opened.whole_index() if address is None else None
        if whole is not None:
            documents = await rebuild_whole_index([user.user_id for user in users], ports, whole)
        else:
            documents = sum([await rebuild_index(user.user_id, ports) for user in users])
    click.echo(f"{len(users)} mailboxes, {documents} messages indexed")


async def _rebuild_outlines(config: Config, address: str | None) -> None:
    async with adapters(config) as opened:
        ports = OutlinePorts(
            store=await opened.mail_store(),
            contents=await opened.contents(),
            walk=await opened.content_sweep(),
            outlines=await opened.outlines(),
            parser=opened.parser(),
        )
        if address is None:
            contents, changed = await rebuild_all_outlines(ports)
        else:
            (user,) = await get_users(await opened.directory(), address)
            contents, changed = await rebuild_outlines(user.user_id, ports)
    click.echo(f"{contents} contents, {changed} outlines were missing or different")


def _give_to_owner(folder: Path, home: Path) -> None:
    """As root, create the folder for the owner of the state folder, who may not be able to."""
    if os.geteuid() != 0 or not home.exists():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with opened_folder(folder.resolve()) as opened:
            if not os.listdir(opened):  # noqa: PTH208  (a descriptor)
                owner = home.stat()
                os.fchown(opened, owner.st_uid, owner.st_gid)
    except PrivilegeError as error:
        raise Refused(str(error)) from error


def _summary(manifest: Manifest) -> str:
    log = "without the log: mail in the log is not in the backup"
    if manifest.log is not None:
        letters = manifest.log.get("dead.letters", 0)
        log = f"{sum(manifest.log.values()) - letters} events in the log, {letters} dead letters"
    return (
        f"{manifest.files} files, {manifest.size_bytes / MIB:.1f} MiB, as of {manifest.began_at}; "
        f"{log}; Postriver {manifest.postriver}"
    )
