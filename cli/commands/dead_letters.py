"""postriver dead-letters: events that could not be handled, kept unchanged."""

import asyncio
import base64
import json
from typing import Any

import click

from cli.commands.render import when
from cli.wiring import bootstrap
from mail.errors import Refused
from streams import dead_letter_box as box


@click.group("dead-letters")
def dead_letters() -> None:
    """Events that could not be handled, kept unchanged."""


@dead_letters.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, box.LIST_MAX))
def letters_list(*, as_json: bool, limit: int) -> None:
    """Newest first: id, time, origin, stage, cause."""
    rows = asyncio.run(box.list_dead(bootstrap(), limit))
    if as_json:
        click.echo(json.dumps([_plain(row) for row in rows], ensure_ascii=False))
        return
    for row in rows:
        click.echo(_line(row))
    if not rows:
        click.echo("no dead letters")


@dead_letters.command("show")
@click.argument("letter_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def letters_show(letter_id: str, *, as_json: bool) -> None:
    """One letter; its bytes are in base64."""
    plain = _plain(asyncio.run(box.show(bootstrap(), letter_id)))
    if as_json:
        click.echo(json.dumps(plain, ensure_ascii=False))
        return
    for name, value in plain.items():
        click.echo(f"{name:>12}: {value}")


@dead_letters.command("redrive")
@click.argument("letter_ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every letter not sent back yet.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@click.option("--force", is_flag=True, help="Send back again what was sent back before.")
def letters_redrive(
    letter_ids: tuple[str, ...], *, everything: bool, dry_run: bool, force: bool
) -> None:
    """Send letters back to the topic they came from, with the same ids inside; safe to repeat."""
    if bool(letter_ids) == everything:
        raise click.UsageError("name letters, or say --all")
    ids = None if everything else list(letter_ids)
    done = asyncio.run(box.redrive(bootstrap(), ids, dry_run=dry_run, force=force))
    for one in done:
        click.echo(f"{one.id}  {one.outcome}  {one.topic}".rstrip())
    if not done:
        click.echo("nothing to send back")
    bad = [one.id for one in done if one.outcome in {"unreadable", "not_found"}]
    if bad:
        raise Refused(f"not sent back: {', '.join(bad)}")


def _line(row: box.Parked) -> str:
    if row.letter is None:
        return f"{row.id}  its headers do not say where it came from"
    letter = row.letter
    origin = f"{letter.topic} {letter.partition}@{letter.offset}"
    sent = f"  (sent back {when(row.redriven_at_ms)})" if row.redriven_at_ms else ""
    return f"{row.id}  {when(letter.at_ms)}  {origin}  {letter.stage}: {letter.cause}{sent}"


def _plain(row: box.Parked) -> dict[str, Any]:
    plain: dict[str, Any] = {"id": row.id}
    if row.letter is not None:
        letter = row.letter
        plain |= {name: getattr(letter, name) for name in letter.__struct_fields__}
        plain["at"] = when(plain.pop("at_ms"))
        plain["key"] = base64.b64encode(letter.key or b"").decode()
        plain["value"] = base64.b64encode(letter.value or b"").decode()
    plain["redriven_at"] = when(row.redriven_at_ms) if row.redriven_at_ms else None
    return plain
