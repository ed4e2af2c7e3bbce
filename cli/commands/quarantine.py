"""postriver quarantine: mail that was accepted and must not be delivered."""

import asyncio
import json
from typing import Any

import click
import msgspec

from cli.commands.render import when
from cli.wiring import open_quarantine
from mail.errors import NotFound
from schemas.records import Quarantined

LIST_MAX = 1000


@click.group()
def quarantine() -> None:
    """Mail that was accepted and must not be delivered."""


@quarantine.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, LIST_MAX))
def quarantine_list(*, as_json: bool, limit: int) -> None:
    """Newest first: mail id, time, reason, what was found, subject."""
    rows = asyncio.run(_list(limit))
    if as_json:
        click.echo(json.dumps([_plain(row) for row in rows], ensure_ascii=False))
        return
    for row in rows:
        found = row.verdict.virus or row.verdict.detail or f"score {row.verdict.spam_score:g}"
        head = f"{row.mail_id}  {when(row.quarantined_at_ms)}  {row.reason:<11}"
        click.echo(f"{head}  {found}  {row.head.subject}")
    if not rows:
        click.echo("nothing is in quarantine")


@quarantine.command("show")
@click.argument("mail_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def quarantine_show(mail_id: str, *, as_json: bool) -> None:
    """Everything known of one mail in quarantine."""
    row = asyncio.run(_get(mail_id))
    plain = _plain(row)
    if as_json:
        click.echo(json.dumps(plain, ensure_ascii=False))
        return
    for name, value in plain.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        click.echo(f"{name:>18}: {text}")


async def _list(limit: int) -> list[Quarantined]:
    async with open_quarantine() as store:
        return await store.list(limit=limit)


async def _get(mail_id: str) -> Quarantined:
    async with open_quarantine() as store:
        row = await store.get(mail_id)
    if row is None:
        raise NotFound(f"mail {mail_id} is not in quarantine: see postriver trace {mail_id}")
    return row


def _plain(row: Quarantined) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(row)
    plain["received_at"] = when(plain.pop("received_at_ms"))
    plain["quarantined_at"] = when(plain.pop("quarantined_at_ms"))
    return plain
