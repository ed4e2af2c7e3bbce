"""postriver queue: recipients of other domains who do not have their mail yet."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click
import msgspec

from cli.stack_addresses import load_running
from cli.time_arguments import MOMENT
from cli.wiring.profile import adapters
from mail.clock import now_ms, rfc3339
from mail.errors import Refused
from mail.ports.relay_queue import RelayAction, RelayQueueAdmin
from operations import relay_queue
from schemas.ids import MailId
from schemas.relay import AGES_MS, DestinationLoad, QueuedRecipient, RelayFilter

LIST_MAX = 10_000
DOMAINS_MAX = 500
T = TypeVar("T")
_FILTERS = (
    click.option("--domain", default="", help="Only recipients of this domain."),
    click.option("--address", default="", help="Only this recipient."),
    click.option("--sender", default="", help="Only mail of the user with this address."),
    click.option("--before", type=MOMENT, help="Only mail queued before this time, or age."),
    click.option("--reason", default="", help="Only if the last result has this text."),
)


def _filtered(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.group()
def queue() -> None:
    """Mail on its way to other servers."""


@queue.command("list")
@_filtered
@click.option("--held", is_flag=True, help="Only what an operator holds.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, LIST_MAX))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def queue_list(*, held: bool, limit: int, as_json: bool, **filters: Any) -> None:
    """Oldest mail first: mail id, recipient, state, attempts, next attempt, last result."""

    async def act(queue: RelayQueueAdmin, conditions: RelayFilter) -> list[QueuedRecipient]:
        if held:
            conditions = msgspec.structs.replace(conditions, state="held")
        return await relay_queue.found(queue, conditions, limit=limit)

    rows = asyncio.run(_with_queue(filters, act))
    _print(rows, as_json=as_json, nothing="nothing is on its way to other servers")


@queue.command("show")
@click.argument("mail_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def queue_show(mail_id: MailId, *, as_json: bool) -> None:
    """Show the recipients of one mail, also those that are done."""

    async def act(queue: RelayQueueAdmin, _: RelayFilter) -> list[QueuedRecipient]:
        return await relay_queue.of_mail(queue, mail_id)

    _print(asyncio.run(_with_queue({}, act)), as_json=as_json, nothing="")


@queue.command("domains")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, DOMAINS_MAX))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def queue_domains(*, limit: int, as_json: bool) -> None:
    """The domains with most waiting recipients, by the age of their mail."""

    async def act(queue: RelayQueueAdmin, _: RelayFilter) -> list[DestinationLoad]:
        return await queue.loads(now_ms=now_ms(), limit=limit)

    loads = asyncio.run(_with_queue({}, act))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(loads)))
        return
    ages = "".join(f"{f'> {age_ms // 3_600_000} h':>9}" for age_ms in AGES_MS)
    click.echo(f"{'domain':<32}{'waiting':>9}{'held':>9}{ages}")
    for load_ in loads:
        counts = "".join(f"{count:>9}" for count in load_.by_age)
        waiting = load_.rows - load_.held
        click.echo(f"{load_.destination:<32}{waiting:>9}{load_.held:>9}{counts}")


def _change(action: RelayAction, text: str, *, asks: bool = False) -> None:
    """Add the command of an action, on mails or on what meets the filters."""

    @queue.command(action, help=text)
    @click.argument("mail_ids", nargs=-1)
    @_filtered
    @click.option("--yes", is_flag=True, help="Do not ask.", hidden=not asks)
    def command(mail_ids: tuple[MailId, ...], *, yes: bool, **filters: Any) -> None:
        if not mail_ids and not any(filters.values()):
            raise Refused("name mails, or use a filter such as --domain")
        if asks and not yes:
            click.confirm(f"{action} for good?", abort=True)

        async def act(queue: RelayQueueAdmin, conditions: RelayFilter) -> int:
            each = [msgspec.structs.replace(conditions, mail_id=mail_id) for mail_id in mail_ids]
            return await relay_queue.change(queue, each or [conditions], action, at_ms=now_ms())

        changed = asyncio.run(_with_queue(filters, act))
        click.echo(f"{action}: {changed} recipients")


_change("retry", "Try again now, whatever the next attempt's time was.")
_change("hold", "Make no attempt until `queue release`.")
_change("release", "Try what is held again, from now on.")
_change("cancel", "Make no attempt any more; the sender gets no notice.", asks=True)
_change("bounce", "Make no attempt any more; the sender gets a notice.", asks=True)


async def _with_queue(
    filters: dict[str, Any], act: Callable[[RelayQueueAdmin, RelayFilter], Awaitable[T]]
) -> T:
    async with adapters(load_running()) as opened:
        named = {("before_ms" if name == "before" else name): it for name, it in filters.items()}
        conditions = await relay_queue.conditions_of(await opened.directory(), **named)
        return await act(await opened.relay_queue(), conditions)


def _print(rows: list[QueuedRecipient], *, as_json: bool, nothing: str) -> None:
    if as_json:
        click.echo(
            json.dumps(
                msgspec.to_builtins([relay_queue.queue_row(each) for each in rows]),
                ensure_ascii=False,
            )
        )
        return
    click.echo("\n".join(map(_line, rows)) or nothing)


def _line(each: QueuedRecipient) -> str:
    row, result = each.row, each.row.result
    when = f"next {rfc3339(row.next_attempt_at_ms)}" if row.state == "waiting" else row.state
    last = f": {result.code} {result.detail}" if result else ""
    return f"{row.mail_id}  {row.recipient.address}  {row.attempts} attempts, {when}{last}"
