"""postriver user quota, postriver domain quota: show or change how much may be stored."""

import asyncio
from collections.abc import Awaitable, Callable

import click

from cli.config.config import Config
from cli.stack_addresses import load_running
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters
from mail.directory.quotas import MESSAGES_MAX, SIZE_MAX_BYTES
from mail.errors import Refused
from mail.query.values import size_bytes
from operations import quotas
from operations.quotas import UNLIMITED, QuotaChange, QuotaStatus
from schemas.directory import QUOTA_UNSET, Quota
from schemas.mailbox import Usage

UNITS = ("bytes", "KiB", "MiB", "GiB")


class Size(click.ParamType):
    """A number of bytes such as 5G, 500M or 1000000; 0 is no limit."""

    name = "size"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        size = size_bytes(value)
        if size is None or size > SIZE_MAX_BYTES:
            self.fail(f"{value!r} is no size such as 5G, 500M or 1000000", param, ctx)
        return size


BYTES = click.option("--bytes", "size", type=Size(), help="Such as 5G; 0 is no limit.")
MAILS = click.option("--mails", type=click.IntRange(0, MESSAGES_MAX), help="0 is no limit.")
NONE = click.option("--none", "unlimited", is_flag=True, help="No limit at all.")
DEFAULT = click.option("--default", "reset", is_flag=True, help="The limits of the settings.")


@click.command("quota")
@click.argument("address")
@BYTES
@MAILS
@NONE
@DEFAULT
def user_quota(
    address: str, *, size: int | None, mails: int | None, unlimited: bool, reset: bool
) -> None:
    """Show what is stored for ADDRESS and its limits; with an option, change the limits."""
    if unlimited and reset:
        raise Refused("--none and --default exclude each other")
    start = UNLIMITED if unlimited else QUOTA_UNSET if reset else None
    change = QuotaChange(size_bytes=size, messages=mails, start=start)

    async def act(opened: Adapters, config: Config) -> QuotaStatus:
        directory, store = await opened.directory(), await opened.mail_store()
        return await quotas.user_quota(
            directory, store, address, change=change, default=config.quota
        )

    _run(act)


@click.command("quota")
@click.argument("name")
@BYTES
@MAILS
@NONE
def domain_quota(name: str, *, size: int | None, mails: int | None, unlimited: bool) -> None:
    """Show what all users of NAME store together and its limits; or change the limits."""
    start = UNLIMITED if unlimited else None
    change = QuotaChange(size_bytes=size, messages=mails, start=start)

    async def act(opened: Adapters, _config: Config) -> QuotaStatus:
        directory, store = await opened.directory(), await opened.mail_store()
        return await quotas.domain_quota(directory, store, name, change=change)

    _run(act)


def usage_text(used: Usage, limits: Quota) -> str:
    """Return `used` and `limits` (None: no limit) for an operator."""
    size = "no limit" if limits.size_bytes is None else f"of {size_text(limits.size_bytes)}"
    mails = "no limit" if limits.messages is None else f"of {limits.messages}"
    return f"{size_text(used.size_bytes)} ({size}), {used.messages} mails ({mails})"


def size_text(size: int) -> str:
    """Return `size` in the largest unit of which it has at least 1; four digits."""
    step = min((max(size, 1).bit_length() - 1) // 10, len(UNITS) - 1)
    return f"{size / 1024**step:.4g} {UNITS[step]}" if step else f"{size} bytes"


def _run(act: Callable[[Adapters, Config], Awaitable[QuotaStatus]]) -> None:
    async def run() -> QuotaStatus:
        config = load_running()
        async with adapters(config) as opened:
            return await act(opened, config)

    status = asyncio.run(run())
    click.echo(f"{status.name}: {usage_text(status.used, status.limits)}")
