"""postriver user quota, postriver domain quota: how much may be stored, and how much is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import msgspec

from cli import accounts
from cli.config.config import Config, load
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters
from mail.directory.quotas import MESSAGES_MAX, SIZE_MAX_BYTES, in_force
from mail.errors import Refused
from mail.query.values import size_bytes
from schemas.directory import NOTHING_SAID, Quota
from schemas.mailbox import Usage

T = TypeVar("T")
UNLIMITED = Quota(size_bytes=0, messages=0)
UNITS = ("bytes", "KiB", "MiB", "GiB")


class Size(click.ParamType):
    """5G, 500M, 1000000; 0 is no limit."""

    name = "size"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = size_bytes(value)
        if found is None or found > SIZE_MAX_BYTES:
            self.fail(f"{value!r} is no size such as 5G, 500M or 1000000", param, ctx)
        return found


BYTES = click.option("--bytes", "size", type=Size(), help="Such as 5G; 0 is no limit.")
MAILS = click.option("--mails", type=click.IntRange(0, MESSAGES_MAX), help="0 is no limit.")
NONE = click.option("--none", "unlimited", is_flag=True, help="No limit at all.")
DEFAULT = click.option("--default", "reset", is_flag=True, help="What the settings say.")


@click.command("quota")
@click.argument("address")
@BYTES
@MAILS
@NONE
@DEFAULT
def user_quota(
    address: str, *, size: int | None, mails: int | None, unlimited: bool, reset: bool
) -> None:
    """How much is stored for ADDRESS and how much may be; with an option, change that."""
    _check_apart(unlimited, reset)
    begin = UNLIMITED if unlimited else NOTHING_SAID if reset else None
    wanted = Quota(size_bytes=size, messages=mails)

    async def act(opened: Adapters, config: Config) -> str:
        directory = await opened.directory()
        user = await accounts.find(directory, address)
        quota = _changed(user.quota if begin is None else begin, wanted)
        if quota != user.quota:
            await directory.set_user_quota(user.user_id, quota)
        used = await (await opened.mail_store()).usage(user.user_id)
        return f"{user.address}: {told(used, in_force(quota, config.quota))}"

    _run(act)


@click.command("quota")
@click.argument("name")
@BYTES
@MAILS
@NONE
def domain_quota(name: str, *, size: int | None, mails: int | None, unlimited: bool) -> None:
    """How much is stored for all users of NAME together and how much may be; or change that."""
    wanted = Quota(size_bytes=size, messages=mails)

    async def act(opened: Adapters, _config: Config) -> str:
        directory = await opened.directory()
        domain = await accounts.find_domain(directory, name)
        quota = _changed(UNLIMITED if unlimited else domain.quota, wanted)
        if quota != domain.quota:
            await directory.set_domain_quota(domain.domain_id, quota)
        used = await (await opened.mail_store()).domain_usage(domain.domain_id)
        return f"{domain.name}: {told(used, in_force(quota, NOTHING_SAID))}"

    _run(act)


def told(used: Usage, quota: Quota) -> str:
    """`quota` is what is in force."""
    room = "no limit" if quota.size_bytes is None else f"of {size_text(quota.size_bytes)}"
    mails = "no limit" if quota.messages is None else f"of {quota.messages}"
    return f"{size_text(used.size_bytes)} ({room}), {used.messages} mails ({mails})"


def size_text(size: int) -> str:
    """In the largest unit of which there is one."""
    step = min((max(size, 1).bit_length() - 1) // 10, len(UNITS) - 1)
    return f"{size / 1024**step:.4g} {UNITS[step]}" if step else f"{size} bytes"


def _changed(quota: Quota, wanted: Quota) -> Quota:
    said = {
        name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None
    }
    return msgspec.structs.replace(quota, **said)


def _check_apart(*flags: bool) -> None:
    if all(flags):
        raise Refused("--none and --default exclude each other")


def _run(act: Callable[[Adapters, Config], Awaitable[str]]) -> None:
    async def run() -> str:
        config = load()
        async with adapters(config) as opened:
            return await act(opened, config)

    click.echo(asyncio.run(run()))
