"""postriver backup, restore: a second copy of everything, and the way back."""

import os
from pathlib import Path

import click

from cli.care.backup import back_up
from cli.care.manifest import Manifest
from cli.care.restore import restore as restore_into
from cli.config import load
from cli.wiring import become_owner, bootstrap
from mail.errors import BrokerUnavailable, Refused
from stack.home import lock_holder
from stack.privileges import PrivilegeError, become

FOLDER = click.Path(file_okay=False, path_type=Path)
MIB = 1024 * 1024


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--without-log", is_flag=True, help="Leave out mail on its way: the broker is gone.")
def backup(folder: Path, *, without_log: bool) -> None:
    """Copy everything into the empty FOLDER while Postriver runs."""
    config, folder = load(), folder.absolute()
    _give_to_owner(folder, config.home)
    become_owner(config)
    try:
        made = back_up(config, folder, bootstrap=None if without_log else bootstrap())
    except BrokerUnavailable as error:
        raise Refused(
            f"{error}: mail on its way is read from the running broker. Start with postriver up, "
            "or say --without-log to save everything else"
        ) from error
    click.echo(f"backup in {folder}: {_told(made)}")


@click.command()
@click.argument("folder", type=FOLDER)
def restore(folder: Path) -> None:
    """Make the empty state folder anew from the backup in FOLDER."""
    config, folder = load(), folder.absolute()
    if (pid := lock_holder(config.home)) is not None:
        raise Refused(f"{config.home} is in use by pid {pid}: postriver down")
    try:
        become(config.home)
    except PrivilegeError as error:
        raise Refused(str(error)) from error
    made = restore_into(config, folder)
    click.echo(f"restored into {config.home}: {_told(made)}")
    for name, value in sorted(made.settings.items()):
        if config.as_settings().get(name) != value and not name.endswith(("HOME", "TOOLS", "PORT")):
            click.echo(f"  note  {name} was {value!r}")
    click.echo("next: postriver up")


def _give_to_owner(folder: Path, home: Path) -> None:
    """As root: the folder is written by the user who owns the state, who cannot make it himself."""
    if os.geteuid() != 0 or not home.exists():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        owner = home.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)


def _told(made: Manifest) -> str:
    log = "without the log: mail on its way is not in it"
    if made.log is not None:
        letters = made.log.get("dead.letters", 0)
        log = f"{sum(made.log.values()) - letters} events on their way, {letters} dead letters"
    return (
        f"{made.files} files, {made.size_bytes / MIB:.1f} MiB, as of {made.began_at}; {log}; "
        f"Postriver {made.postriver}"
    )
