"""postriver dead-letters: events that could not be handled, kept unchanged."""

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

import click
import msgspec

from cli.stack_addresses import load_running
from cli.time_arguments import MOMENT
from cli.wiring.profile import adapters, bootstrap
from mail.clock import rfc3339
from mail.errors import Refused
from operations.dead_letters import (
    LIST_MAX,
    CauseCount,
    count_by_cause,
    discard,
    list_newest,
    redrive,
    show,
)
from streams.dead_letters import park_requests
from streams.dead_letters.admin import DeadLetterResult
from streams.dead_letters.records import DeadLetterFilter, ParkedRecord
from streams.dead_letters.set_aside import RecordPosition, parse_position, requests_folder
from streams.topology import BY_NAME, STAGES

FAILED = {"unreadable", "not_found"}  # outcomes that end with exit code 1


@click.group("dead-letters")
def dead_letters() -> None:
    """Events that could not be handled, kept unchanged."""


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    stages = click.Choice([stage.name for stage in STAGES])
    for option in (
        click.option("--since", type=MOMENT, default=None, help="Parked since: time or age (2h)."),
        click.option("--stage", type=stages, default=None, help="Parked by this stage."),
        click.option("--cause", default="", help="Part of the cause, in upper or lower case."),
    ):
        command = option(command)
    return command


def _filter(cause: str, stage: str | None, since: int | None) -> DeadLetterFilter:
    return DeadLetterFilter(cause=cause, stage=stage or "", since_ms=since or 0)


@dead_letters.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, LIST_MAX))
@click.option("--by-cause", is_flag=True, help="Count the dead letters that wait, by cause.")
@_filters
def dead_letters_list(
    *, as_json: bool, limit: int, by_cause: bool, cause: str, stage: str | None, since: int | None
) -> None:
    """Newest first: id, time, origin, stage, cause."""
    conditions = _filter(cause, stage, since)
    if by_cause:
        counts = asyncio.run(count_by_cause(bootstrap(), conditions=conditions))
        rows, lines = msgspec.to_builtins(counts), [_count_line(count) for count in counts]
    else:
        records = asyncio.run(list_newest(bootstrap(), limit, conditions=conditions))
        rows, lines = [_plain(record) for record in records], [_line(record) for record in records]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    click.echo("\n".join(lines) or "no dead letters")


@dead_letters.command("show")
@click.argument("letter_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def dead_letters_show(letter_id: str, *, as_json: bool) -> None:
    """Show one dead letter; key and value are in base64."""
    plain = _plain(asyncio.run(show(bootstrap(), letter_id)))
    if as_json:
        click.echo(json.dumps(plain, ensure_ascii=False))
        return
    for name, value in plain.items():
        click.echo(f"{name:>12}: {value}")


@dead_letters.command("redrive")
@click.argument("letter_ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every dead letter that waits.")
@click.option("--dry-run", is_flag=True, help="Print what would be done; change nothing.")
@click.option("--force", is_flag=True, help="Also those redriven or discarded before.")
@_filters
def dead_letters_redrive(
    letter_ids: tuple[str, ...],
    *,
    everything: bool,
    dry_run: bool,
    force: bool,
    cause: str,
    stage: str | None,
    since: int | None,
) -> None:
    """Publish dead letters again to their topics of origin, with the same ids; safe to repeat.

    The command of a mailbox owner is redriven only by its id.
    """
    conditions = _filter(cause, stage, since)
    if bool(letter_ids) == (everything or conditions != DeadLetterFilter()):
        raise click.UsageError("give ids, or --all, or one of --cause, --stage, --since")
    ids = list(letter_ids) or None
    results = redrive(bootstrap(), ids, conditions=conditions, dry_run=dry_run, force=force)
    _report(asyncio.run(results), "nothing to redrive")


@dead_letters.command("discard")
@click.argument("letter_ids", nargs=-1, required=True)
@click.option("--reason", required=True, help="Kept with the dead letter.")
def dead_letters_discard(letter_ids: tuple[str, ...], *, reason: str) -> None:
    """Give dead letters up: their mail counts as discarded; no notice is sent."""
    if not reason.strip():
        raise click.UsageError("--reason must not be empty")
    _report(asyncio.run(discard(bootstrap(), letter_ids, reason.strip())), "")


@dead_letters.command("park")
@click.argument("name", metavar="TOPIC@PARTITION-OFFSET")
def dead_letters_park(name: str) -> None:
    """Set aside one event, unchanged, that its stage cannot handle.

    Works while the stage holds, and while its process restarts again and again.
    """
    position = parse_position(name)
    if asyncio.run(_park(position)):
        click.echo(f"{position} is set aside: postriver dead-letters list")
    else:
        click.echo(f"requested: {position} is set aside as soon as its stage reads it")


async def _park(position: RecordPosition) -> bool:
    config = load_running()
    async with adapters(config) as opened:
        directory = await opened.directory()
        folder = requests_folder(config.home)
        return await park_requests.request(config.bootstrap, directory, folder, position)


def _report(results: Sequence[DeadLetterResult], if_empty: str) -> None:
    for result in results:
        click.echo(f"{result.id}  {result.outcome}{_destination(result)}")
    if not results:
        click.echo(if_empty)
    by_id = [result.id for result in results if result.outcome == "by_id_only"]
    if by_id:
        click.echo(
            f"{len(by_id)} dead letters are commands of mailbox owners and were not redriven: "
            "later commands may have been carried out since. Redrive by id, oldest first, "
            "those that are still wanted; discard the others"
        )
    failed = [result.id for result in results if result.outcome in FAILED]
    if failed:
        raise Refused(f"nothing was done with: {', '.join(failed)}")


def _destination(result: DeadLetterResult) -> str:
    topic = BY_NAME.get(result.topic)
    return f"  {topic.name}, to be read by {topic.reader}" if topic else ""


def _count_line(count: CauseCount) -> str:
    return f"{count.count:>7}  {count.stage}: {count.cause}  (such as {count.example})"


def _line(record: ParkedRecord) -> str:
    if record.letter is None:
        return f"{record.id}  its headers do not name its origin{_state(record)}"
    letter = record.letter
    origin = f"{letter.topic} {letter.partition}@{letter.offset}"
    cause = f"{letter.stage}: {letter.cause}{_state(record)}"
    return f"{record.id}  {rfc3339(letter.at_ms)}  {origin}  {cause}"


def _state(record: ParkedRecord) -> str:
    if record.discarded_at_ms:
        return f"  (discarded {rfc3339(record.discarded_at_ms)}: {record.reason})"
    if record.redriven_at_ms:
        return f"  (redriven {rfc3339(record.redriven_at_ms)})"
    return ""


def _plain(record: ParkedRecord) -> dict[str, Any]:
    plain: dict[str, Any] = {"id": record.id}
    if record.letter is not None:
        letter = record.letter
        plain |= {name: getattr(letter, name) for name in letter.__struct_fields__}
        plain["at"] = rfc3339(plain.pop("at_ms"))
        plain["key"] = base64.b64encode(letter.key or b"").decode()
        plain["value"] = base64.b64encode(letter.value or b"").decode()
    plain["redriven_at"] = rfc3339(record.redriven_at_ms) if record.redriven_at_ms else None
    plain["discarded_at"] = rfc3339(record.discarded_at_ms) if record.discarded_at_ms else None
    return plain | {"reason": record.reason}
