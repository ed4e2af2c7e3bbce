"""The command `postriver`. The module of a command is imported when the command is called."""

import importlib
import logging
from typing import NoReturn

import click

from mail.errors import PostriverError

COMMANDS = {
    "up": "cli.commands.up_down_status:up",
    "down": "cli.commands.up_down_status:down",
    "status": "cli.commands.up_down_status:status",
    "doctor": "cli.commands.doctor:doctor",
    "demo": "cli.commands.demo:demo",
    "watch": "cli.commands.demo:watch",
    "domain": "cli.commands.domains_and_users:domain",
    "user": "cli.commands.domains_and_users:user",
    "alias": "cli.commands.aliases:alias",
    "group": "cli.commands.aliases:group",
    "audit": "cli.commands.audit:audit",
    "trace": "cli.commands.trace:trace",
    "rejected": "cli.commands.rejected:rejected",
    "acts": "cli.commands.acts:acts",
    "queue": "cli.commands.queue:queue",
    "quarantine": "cli.commands.quarantine:quarantine",
    "dead-letters": "cli.commands.dead_letters:dead_letters",
    "backup": "cli.commands.backup_and_verify:backup",
    "restore": "cli.commands.backup_and_verify:restore",
    "verify": "cli.commands.backup_and_verify:verify",
    "migrate": "cli.commands.migrate:migrate",
    "rebuild": "cli.commands.backup_and_verify:rebuild",
    "role": "cli.commands.role:role",
}


class _LazyGroup(click.Group):
    """A group that knows the names of its commands and imports only the command that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="postriver")
def postriver() -> None:
    """Postriver: a mail platform that never loses or leaks a mail."""


def main() -> NoReturn:
    """Run a command. A PostriverError is one line on stderr and exit code 1; wrong usage is 2."""
    logging.getLogger("aiokafka.conn").setLevel(logging.ERROR)  # warns of SASL on the loopback
    try:
        code = postriver.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        raise SystemExit(130) from None
    except PostriverError as error:
        click.echo(f"postriver: {error}", err=True)
        raise SystemExit(1) from None
    raise SystemExit(code if isinstance(code, int) else 0)
