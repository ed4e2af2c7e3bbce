"""postriver quarantine: mail that was accepted and must not be delivered."""

import asyncio
import json
import os
import pwd
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from cli.stack_addresses import load_running
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters, open_quarantine
from mail.clock import now_ms, rfc3339
from mail.lifecycle import running
from operations.ports import ReleasePorts
from operations.quarantine import discard, get_quarantined, list_quarantined, release
from schemas.ids import MailId
from schemas.quarantine import Quarantined
from streams.config import PublisherConfig
from streams.publisher import KafkaPublisher

LIST_MAX = 1000
CAUSES = ("infected", "spam", "unscannable")


@click.group()
def quarantine() -> None:
    """Mail that was accepted and must not be delivered."""


@quarantine.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, LIST_MAX))
@click.option("--cause", type=click.Choice(CAUSES), default=None, help="Only mail with this cause.")
def quarantine_list(*, as_json: bool, limit: int, cause: str | None) -> None:
    """Newest first: mail id, time, cause, what the scanners found, subject."""
    rows = asyncio.run(_list(limit, cause))
    if as_json:
        click.echo(json.dumps([_plain(row) for row in rows], ensure_ascii=False))
        return
    click.echo("\n".join(map(_line, rows)) or "nothing is in quarantine")


@quarantine.command("show")
@click.argument("mail_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def quarantine_show(mail_id: MailId, *, as_json: bool) -> None:
    """Show everything that is known of one mail in quarantine."""
    row = asyncio.run(_get(mail_id))
    plain = _plain(row)
    if as_json:
        click.echo(json.dumps(plain, ensure_ascii=False))
        return
    for name, value in plain.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        click.echo(f"{name:>18}: {text}")


@quarantine.command("release")
@click.argument("mail_ids", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Release infected mail too.")
def quarantine_release(mail_ids: tuple[MailId, ...], *, force: bool) -> None:
    """Deliver mail to the inboxes of its recipients, against its verdict; safe to repeat."""
    for line in asyncio.run(_release(mail_ids, _operator(), force=force)):
        click.echo(line)


@quarantine.command("delete")
@click.argument("mail_ids", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
def quarantine_delete(mail_ids: tuple[MailId, ...], *, yes: bool) -> None:
    """Delete mail for good; its envelope and its verdict stay known."""
    if not yes:
        click.confirm(f"delete {len(mail_ids)} mails for good?", abort=True)
    asyncio.run(_delete(mail_ids, _operator()))
    click.echo(f"deleted {len(mail_ids)}")


async def _list(limit: int, cause: str | None) -> list[Quarantined]:
    async with open_quarantine() as quarantine:
        return await list_quarantined(quarantine, limit=limit, reason=cause)


async def _release(mail_ids: Sequence[MailId], by: str, *, force: bool) -> list[str]:
    """Release mails in order, and stop at the first mail that cannot be released."""
    config, lines = load_running(), []
    settings = PublisherConfig(bootstrap=config.bootstrap, linger_ms=0, connect_limit_s=10)
    async with adapters(config) as opened, running(KafkaPublisher(settings)) as publisher:
        ports = await _ports(opened)
        for mail_id in mail_ids:
            row = await release(
                mail_id,
                ports,
                publisher,
                by=by,
                at_ms=now_ms(),
                force=force,
                worker=config.hostname,
            )
            again = f" again, first {rfc3339(row.released_at_ms)}" if row.released_at_ms else ""
            lines.append(f"{mail_id}  released{again}")
    return lines


async def _delete(mail_ids: Sequence[MailId], by: str) -> None:
    async with adapters(load_running()) as opened:
        ports = await _ports(opened)
        for mail_id in mail_ids:
            await discard(mail_id, ports, by=by, at_ms=now_ms())


async def _ports(opened: Adapters) -> ReleasePorts:
    return ReleasePorts(
        quarantine=await opened.quarantine(),
        contents=await opened.contents(),
        holders=await opened.holders(),
        ledger=await opened.ledger(),
    )


async def _get(mail_id: MailId) -> Quarantined:
    async with open_quarantine() as quarantine:
        return await get_quarantined(mail_id, quarantine)


def _operator() -> str:
    """Return the name of the system user who runs this command.

    To be called before the process becomes the owner of the state folder.
    """
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _line(row: Quarantined) -> str:
    reason = row.verdict.virus or row.verdict.detail or f"score {row.verdict.spam_score:g}"
    head = f"{row.mail_id}  {rfc3339(row.quarantined_at_ms)}  {row.reason:<11}"
    released = row.released_at_ms
    release_note = f"  (released {rfc3339(released)} by {row.released_by})" if released else ""
    return f"{head}  {reason}  {row.head.subject}{release_note}"


def _plain(row: Quarantined) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(row)
    plain["received_at"] = rfc3339(plain.pop("received_at_ms"))
    plain["quarantined_at"] = rfc3339(plain.pop("quarantined_at_ms"))
    for name in ("released", "deleted"):
        at_ms = plain.pop(f"{name}_at_ms")
        plain[f"{name}_at"] = at_ms and rfc3339(at_ms)
    return plain
