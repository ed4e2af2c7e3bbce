"""postriver dead-letters: events that could not be handled, kept unchanged."""

import asyncio
import base64
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import click

from cli.config.config import load
from cli.formatting import when
from cli.time_arguments import MOMENT
from cli.wiring.profile import adapters, bootstrap
from mail.errors import Refused
from streams.dead_letters import admin as box
from streams.dead_letters import park_requests
from streams.dead_letters.records import DeadLetterFilter, ParkedRecord, kind_of
from streams.dead_letters.set_aside import RecordPosition, place_of, requests_folder
from streams.topology import BY_NAME, STAGES

BAD = {"unreadable", "not_found"}


@click.group("dead-letters")
def dead_letters() -> None:
    """Events that could not be handled, kept unchanged."""


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    stages = click.Choice([stage.name for stage in STAGES])
    for option in (
        click.option("--since", type=MOMENT, default=None, help="Parked since: time or age (2h)."),
        click.option("--stage", type=stages, default=None, help="Parked by this stage."),
        click.option("--cause", default="", help="Part of the cause, in any case."),
    ):
        command = option(command)
    return command


def _wanted(cause: str, stage: str | None, since: int | None) -> DeadLetterFilter:
    return DeadLetterFilter(cause=cause, stage=stage or "", since_ms=since or 0)


@dead_letters.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, box.LIST_MAX))
@click.option("--by-cause", is_flag=True, help="Count those that wait for you, by cause.")
@_filters
def letters_list(
    *, as_json: bool, limit: int, by_cause: bool, cause: str, stage: str | None, since: int | None
) -> None:
    """Newest first: id, time, origin, stage, cause."""
    wanted = _wanted(cause, stage, since)
    if by_cause:
        rows = _by_cause(asyncio.run(box.waiting(bootstrap(), wanted=wanted)))
        lines = [f"{row['count']:>7}  {row['stage']}: {row['cause']}  (such as {row['example']})"
                 for row in rows]  # fmt: skip
    else:
        found = asyncio.run(box.list_dead(bootstrap(), limit, wanted=wanted))
        rows, lines = [_plain(row) for row in found], [_line(row) for row in found]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    click.echo("\n".join(lines) or "no dead letters")


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
@click.option("--all", "everything", is_flag=True, help="Every letter that waits.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@click.option("--force", is_flag=True, help="Those too that were sent back or discarded before.")
@_filters
def letters_redrive(
    letter_ids: tuple[str, ...],
    *,
    everything: bool,
    dry_run: bool,
    force: bool,
    cause: str,
    stage: str | None,
    since: int | None,
) -> None:
    """Send letters back to the topic they came from, with the same ids inside; safe to repeat.

    An owner's command is sent back only by its id.
    """
    wanted = _wanted(cause, stage, since)
    if bool(letter_ids) == (everything or wanted != DeadLetterFilter()):
        raise click.UsageError("name letters, or say --all or which by --cause, --stage, --since")
    ids = list(letter_ids) or None
    done = box.redrive(bootstrap(), ids, wanted=wanted, dry_run=dry_run, force=force)
    _tell(asyncio.run(done), "nothing to send back")


@dead_letters.command("discard")
@click.argument("letter_ids", nargs=-1, required=True)
@click.option("--reason", required=True, help="Kept with the letter.")
def letters_discard(letter_ids: tuple[str, ...], *, reason: str) -> None:
    """Give letters up: their mail counts as discarded, and nobody is told."""
    if not reason.strip():
        raise click.UsageError("a reason is wanted: somebody will ask")
    _tell(asyncio.run(box.discard(bootstrap(), letter_ids, reason.strip())), "")


@dead_letters.command("park")
@click.argument("name", metavar="TOPIC@PARTITION-OFFSET")
def letters_park(name: str) -> None:
    """Set one event aside, unchanged, that its stage cannot get past.

    Works while the stage holds, and while its process ends again and again.
    """
    place = place_of(name)
    if asyncio.run(_park(place)):
        click.echo(f"{place} is set aside: postriver dead-letters list")
    else:
        click.echo(f"asked for: {place} is set aside as soon as its stage gets to it")


async def _park(place: RecordPosition) -> bool:
    config = load()
    async with adapters(config) as opened:
        directory = await opened.directory()
        folder = requests_folder(config.home)
        return await park_requests.request(config.bootstrap, directory, folder, place)


def _tell(done: Sequence[box.DeadLetterResult], nothing: str) -> None:
    for one in done:
        click.echo(f"{one.id}  {one.outcome}{_onwards(one)}")
    if not done:
        click.echo(nothing)
    by_id = [one.id for one in done if one.outcome == "by_id_only"]
    if by_id:
        click.echo(
            f"{len(by_id)} letters are commands of mailbox owners and were not sent back: later "
            "commands may have been carried out since. Name those that are still wanted by id, "
            "oldest first; discard the others"
        )
    bad = [one.id for one in done if one.outcome in BAD]
    if bad:
        raise Refused(f"nothing was done with: {', '.join(bad)}")


def _onwards(done: box.DeadLetterResult) -> str:
    topic = BY_NAME.get(done.topic)
    return f"  {topic.name}, to be read by {topic.reader}" if topic else ""


def _by_cause(rows: Sequence[ParkedRecord]) -> list[dict[str, Any]]:
    """The most frequent first."""
    groups: defaultdict[tuple[str, str], list[ParkedRecord]] = defaultdict(list)
    for row in rows:
        letter = row.letter
        groups[(letter.stage, kind_of(letter.cause)) if letter else ("?", "unreadable")].append(row)
    return [
        {"stage": stage, "cause": cause, "count": len(some), "example": some[-1].id}
        for (stage, cause), some in sorted(groups.items(), key=lambda group: -len(group[1]))
    ]


def _line(row: ParkedRecord) -> str:
    if row.letter is None:
        return f"{row.id}  its headers do not say where it came from{_seen_to(row)}"
    letter = row.letter
    origin = f"{letter.topic} {letter.partition}@{letter.offset}"
    said = f"{letter.stage}: {letter.cause}{_seen_to(row)}"
    return f"{row.id}  {when(letter.at_ms)}  {origin}  {said}"


def _seen_to(row: ParkedRecord) -> str:
    if row.discarded_at_ms:
        return f"  (discarded {when(row.discarded_at_ms)}: {row.reason})"
    return f"  (sent back {when(row.redriven_at_ms)})" if row.redriven_at_ms else ""


def _plain(row: ParkedRecord) -> dict[str, Any]:
    plain: dict[str, Any] = {"id": row.id}
    if row.letter is not None:
        letter = row.letter
        plain |= {name: getattr(letter, name) for name in letter.__struct_fields__}
        plain["at"] = when(plain.pop("at_ms"))
        plain["key"] = base64.b64encode(letter.key or b"").decode()
        plain["value"] = base64.b64encode(letter.value or b"").decode()
    plain["redriven_at"] = when(row.redriven_at_ms) if row.redriven_at_ms else None
    plain["discarded_at"] = when(row.discarded_at_ms) if row.discarded_at_ms else None
    return plain | {"reason": row.reason}
