"""postriver rejected: recipients that mails of users did not reach."""

import asyncio
import json

import click
import msgspec

from cli.stack_addresses import load_running
from cli.time_arguments import MOMENT
from cli.wiring.profile import adapters
from mail.clock import rfc3339
from operations.rejected import RejectedRecipient
from operations.rejected import rejected as list_rejected

LIST_MAX = 10_000


@click.command()
@click.option("--since", type=MOMENT, default="24h", show_default=True, help="Time or age.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, LIST_MAX))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def rejected(*, since: int, limit: int, as_json: bool) -> None:
    """Oldest first: time, mail id, sender, recipient, code, reason."""
    rows = asyncio.run(_rejected(since, limit))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(rows), ensure_ascii=False))
        return
    click.echo("\n".join(map(_line, rows)) or "nothing was rejected")


async def _rejected(since_ms: int, limit: int) -> list[RejectedRecipient]:
    async with adapters(load_running()) as opened:
        return await list_rejected(await opened.submissions(), since_ms=since_ms, limit=limit)


def _line(row: RejectedRecipient) -> str:
    server = f" ({row.server})" if row.server else ""
    return (
        f"{rfc3339(row.failed_at_ms)}  {row.submission_id}  {row.sender or '<>'} -> {row.address}:"
        f" {row.code} {row.detail}{server}"
    )
