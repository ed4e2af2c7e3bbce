"""postriver user limits, postriver domain limits: show or change how much users may send."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import click

from cli.config.config import load
from cli.wiring.profile import open_directory
from mail.errors import Refused
from mail.sending.own_limits import COUNTED, PERIODS, limit_name
from operations import sending_limits
from operations.sending_limits import UNLIMITED, LimitsChange, LimitsStatus
from schemas.directory import NO_OWN_LIMITS, SENDING_MAX

Operation = Callable[..., Awaitable[LimitsStatus]]  # of operations/sending_limits.py


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with an option for each limit, and for all of them."""
    for counted in reversed(COUNTED):
        for period in reversed(PERIODS):
            option = f"--{counted}-per-{period}"
            command = click.option(option, type=click.IntRange(0, SENDING_MAX))(command)
    default = click.option("--default", "reset", is_flag=True, help="Remove the limits set here.")
    none = click.option("--none", "unlimited", is_flag=True, help="No limit at all.")
    return default(none(command))


@click.command("limits")
@click.argument("address")
@_with_options
def user_limits(address: str, **options: Any) -> None:
    """Show how much ADDRESS may send; with an option, change it (0 is no limit)."""
    _run(sending_limits.user_limits, address, options)


@click.command("limits")
@click.argument("name")
@_with_options
def domain_limits(name: str, **options: Any) -> None:
    """Show how much each user of NAME may send; with an option, change it (0 is no limit)."""
    _run(sending_limits.domain_limits, name, options)


def limits_text(status: LimitsStatus) -> str:
    """A line for each period; limits that are set for this name itself are marked."""
    return "\n".join(
        f"{status.name} per {limit.name}: "
        + ", ".join(_value_text(status, counted, limit.name, limit) for counted in COUNTED)
        for limit in (status.limits.minute, status.limits.hour, status.limits.day)
    )


def _value_text(status: LimitsStatus, counted: str, period: str, limit: object) -> str:
    most = getattr(limit, counted)
    is_own = getattr(status.own, limit_name(counted, period)) is not None
    return f"{most or 'any number of'} {counted}{' (set here)' if is_own else ''}"


def _run(operation: Operation, name: str, options: dict[str, Any]) -> None:
    unlimited, reset = options.pop("unlimited"), options.pop("reset")
    if unlimited and reset:
        raise Refused("--none and --default exclude each other")
    change = LimitsChange(
        limits={name: value for name, value in options.items() if value is not None},
        start=UNLIMITED if unlimited else NO_OWN_LIMITS if reset else None,
    )

    async def run() -> LimitsStatus:
        async with open_directory() as directory:
            return await operation(directory, name, change=change, configured=load().sending_limits)

    click.echo(limits_text(asyncio.run(run())))
