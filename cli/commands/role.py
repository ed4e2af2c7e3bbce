"""postriver role NAME: what the supervisor starts, one process each."""

import asyncio
import importlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import click
import uvloop

from cli.config.config import Config, load
from stack.log_format import formatter
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
    _log(config, name)
    module, function = RUNNERS[name].split(":")
    run: Runner = getattr(importlib.import_module(module), function)
    uvloop.run(_until_told(run, replace(config, user=name)))


async def _until_told(run: Runner, config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(ValueError):
            loop.add_signal_handler(number, stop.set)
    await run(config, stop)


def _log(config: Config, name: str) -> None:
    """To stdout, which the supervisor keeps and rotates. Libraries speak from WARNING on."""
    level, handler = config.log_level, logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter(config.log_format, name))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for ours in ("postriver", "streams", "ingress", "api", "agents", "stores", "cli", "mail"):
        logging.getLogger(ours).setLevel(level)
    quiet = (
        logging.WARNING if level == "DEBUG" else logging.CRITICAL
    )  # it repeats itself in outages
    logging.getLogger("aiokafka").setLevel(quiet)
