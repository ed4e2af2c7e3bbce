"""postriver role NAME: run one process of the stack in the foreground."""

import asyncio
import gc
import importlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import click
import uvloop

from cli.config.config import Config, load
from cli.config.edge import PROCESSES_MAX
from cli.start_refused import StartRefused
from mail.errors import Fatal, Refused
from stack.log_format import formatter
from stack.state_folder import StateFolderError, existing
from streams.topics.access_rules import SETUP
from streams.topology import CUSTODY

Runner = Callable[[Config, asyncio.Event], Awaitable[None]]
WARM_S = 60.0  # connections and caches are there by then
LOGGERS = (
    "postriver", "agents", "api", "cli", "edge", "mail", "operations", "parsing", "pop3",
    "resolving", "scanners", "smtp", "stack", "stores", "streams",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Role:
    """A role: its function, and what it does."""

    runner: str  # module:function
    summary: str


ROLES = {
    "ingress": Role("cli.roles.ingress:run", "accept mail by SMTP; mail notices to operators"),
    "api": Role("cli.roles.api:run", "serve the HTTP API, push and the web page"),
    "msa": Role("cli.roles.msa:run", "take mail that users send, by SMTP submission"),
    "pop3": Role("cli.roles.pop3:run", "serve mailboxes by POP3"),
    "intake": Role("cli.roles.workers:run_intake", "validate accepted mail; route scanned mail"),
    "scan": Role("cli.roles.workers:run_scan", "scan mail for viruses and spam"),
    "relay": Role("cli.roles.relay:run", "send mail to servers of other domains"),
    "mailbox": Role("cli.roles.workers:run_mailbox", "apply commands to mailboxes"),
    "index": Role("cli.roles.workers:run_index", "keep the search index"),
    CUSTODY: Role("cli.roles.custody:run", "keep the ledger of accepted mail; sweep contents"),
    SETUP: Role(
        "cli.roles.setup:run", "bring the engines to this version, then end; the others wait for it"
    ),
}
_WIDTH = max(map(len, ROLES))
_TABLE = "\n".join(f"{name:<{_WIDTH}}  {role.summary}" for name, role in ROLES.items())
_HELP = f"""Run one role in the foreground until SIGTERM or Ctrl-C.

`postriver up` starts and supervises every role, and the engines. Run a role by hand when another
supervisor (systemd, a container) starts the roles, or to debug one role. The role must run on the
host of the engines, on the same state folder and with the same settings; another host is not
supported yet. The state folder is made by `postriver up`.

\b
{_TABLE}
"""


class _RoleName(click.Choice[str]):
    """A name of ROLES; without the list of names in the usage line."""

    def get_metavar(self, *_: object, **__: object) -> str:
        return "NAME"


@click.command(help=_HELP, short_help="Run one process of the stack in the foreground.")
@click.argument("name", type=_RoleName(list(ROLES)))
@click.option(
    "--number",
    type=click.IntRange(1, PROCESSES_MAX),
    default=1,
    help="The number of this process among those of ingress, api, msa or pop3; 2 of api is api-2.",
)
def role(name: str, number: int) -> None:
    config = replace(load(), user=name, number=number)
    try:
        existing(config.home)
    except StateFolderError as error:
        raise Refused(str(error)) from error
    _configure_log(config)
    module, function = ROLES[name].runner.split(":")
    run: Runner = getattr(importlib.import_module(module), function)
    gc.freeze()  # what imports made
    with refusals(name):
        uvloop.run(_until_signal(run, config))


@contextmanager
def refusals(name: str) -> Iterator[None]:
    """Raise StartRefused where `setup` refuses: a newer engine, for example, stays newer."""
    try:
        yield
    except (Fatal, Refused) as error:
        if name == SETUP:
            raise StartRefused(str(error)) from error
        raise


async def _until_signal(run: Runner, config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(ValueError):
            loop.add_signal_handler(number, stop.set)
    loop.call_later(WARM_S, _freeze)
    await run(config, stop)


def _freeze() -> None:
    """Leave what lives now out of later full collections: they stop the loop for up to 60 ms."""
    gc.collect()
    gc.freeze()


def _configure_log(config: Config) -> None:
    """Log to stdout, which the supervisor keeps and rotates; libraries from WARNING on."""
    level, handler = config.log_level, logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter(config.log_format, config.process))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for logger in LOGGERS:
        logging.getLogger(logger).setLevel(level)
    # aiokafka repeats the same errors during an outage
    aiokafka_level = logging.WARNING if level == "DEBUG" else logging.CRITICAL
    logging.getLogger("aiokafka").setLevel(aiokafka_level)
