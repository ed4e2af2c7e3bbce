"""postriver trace: where a mail is, and every stage that it has passed."""

import asyncio
import json
from typing import Any

import click

from cli.commands.render import hop_lines, when
from cli.config import load
from cli.wiring import open_mail_store, open_quarantine
from mail.errors import NotFound, Refused, Transient
from mail.ids import time_ms
from schemas.mail import Hop
from streams.seek import Found, find_in_flight


@click.command()
@click.argument("mail_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def trace(mail_id: str, *, as_json: bool) -> None:
    """Show where MAIL_ID is now and the hops it took."""
    try:
        time_ms(mail_id)
    except ValueError:
        raise Refused(f"{mail_id} is no mail id: SMTP's 250 names it") from None
    ends = asyncio.run(_trace(mail_id))
    if as_json:
        click.echo(json.dumps({"mail_id": mail_id, "ends": ends}, ensure_ascii=False))
        return
    for end in ends:
        click.echo(f"{end['where']}")
        click.echo("\n".join(hop_lines(end["hops"])))


async def _trace(mail_id: str) -> list[dict[str, Any]]:
    """Every place where the mail is: mailboxes, quarantine, else the log."""
    ends = await _stored(mail_id) + await _quarantined(mail_id)
    if ends:
        return ends
    try:
        found = await find_in_flight(load().bootstrap, mail_id)
    except Transient as error:
        raise Refused(f"not in a mailbox nor in quarantine, and {error}") from error
    if not found:
        raise NotFound(f"no trace of mail {mail_id}")
    return [_flying(one) for one in found]


async def _stored(mail_id: str) -> list[dict[str, Any]]:
    async with open_mail_store() as store:
        rows = await store.by_mail(mail_id)
    return [
        _end(
            f"{'deleted by' if row.destroyed else 'stored for'} user {row.user_id} "
            f"as message {row.message_id} in {', '.join(sorted(row.places)) or 'no folder'}",
            row.hops,
        )
        for row in rows
    ]


async def _quarantined(mail_id: str) -> list[dict[str, Any]]:
    async with open_quarantine() as store:
        row = await store.get(mail_id)
    if row is None:
        return []
    return [_end(f"in quarantine ({row.reason}) since {when(row.quarantined_at_ms)}", row.hops)]


def _flying(found: Found) -> dict[str, Any]:
    state = "passed by its reader" if found.committed else "waiting for its reader"
    where = f"on {found.topic} partition {found.partition} offset {found.offset}, {state}"
    return _end(where, getattr(found.event, "hops", ()))


def _end(where: str, hops: tuple[Hop, ...]) -> dict[str, Any]:
    plain = [{name: getattr(hop, name) for name in hop.__struct_fields__} for hop in hops]
    return {"where": where, "hops": plain}
