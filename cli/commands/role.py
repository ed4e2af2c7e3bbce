"""postriver role NAME: what the supervisor starts, one process each."""

import asyncio
import importlib
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

import click
import uvloop

from cli.config import Config, load
from streams.topology import CUSTODY, ROLES

RUNNERS = {
    "setup": "cli.roles.setup:run",
    "ingress": "cli.roles.ingress:run",
    "api": "cli.roles.api:run",
    CUSTODY: "cli.roles.custody:run",
    **{name: f"cli.roles.workers:run_{name}" for name in ROLES},
}
Runner = Callable[[Config, asyncio.Event], Awaitable[None]]


@click.command(hidden=True)
@click.argument("name", type=click.Choice(sorted(RUNNERS)))
def role(name: str) -> None:
    """Run one process of the stack until SIGTERM."""
    config = load()
    _log_plainly(config.log_level)
    module, function = RUNNERS[name].split(":")
    run: Runner = getattr(importlib.import_module(module), function)
    uvloop.run(_until_told(run, config))


async def _until_told(run: Runner, config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(ValueError):
            loop.add_signal_handler(number, stop.set)
    await run(config, stop)


def _log_plainly(level: str) -> None:
    """To stdout, which the supervisor keeps and rotates. Libraries speak from WARNING on."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    for name in ("postriver", "streams", "ingress", "api", "agents", "stores", "cli", "mail"):
        logging.getLogger(name).setLevel(level)
    quiet = (
        logging.WARNING if level == "DEBUG" else logging.CRITICAL
    )  # it repeats itself in outages
    logging.getLogger("aiokafka").setLevel(quiet)
