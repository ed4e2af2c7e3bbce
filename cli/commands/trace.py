"""postriver trace: where a mail is, and the stages that it has passed."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import click
import msgspec

from cli.config.config import Config
from cli.formatting import hop_lines, verdict_line
from cli.stack_addresses import load_running
from cli.time_arguments import MOMENT
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters
from mail.clock import rfc3339
from mail.directory.recipient_resolver import DirectoryResolver
from operations.ports import TracePorts
from operations.trace import (
    DeliveryEnd,
    HeldPartition,
    TraceCandidate,
    Tracer,
    TraceResult,
    of_owner,
    uuid_version,
)
from schemas.ledger import STORED
from stack.state_folder import StateFolderError
from stack.supervision.client import NotRunning, read_status
from streams.readers.in_flight_search import received_places
from streams.readers.mail_finder import find_in_flight

MINUTE_MS = 60_000
EVERY = "*"  # not an address, not an id
SHOWN_MAX = 10  # places; a longer list is summed up


@click.command()
@click.argument("name", required=False)
@click.option("--recipient", help="Find mail to this address, about --around.")
@click.option("--around", type=MOMENT, default="now", help="Time or age; default now.")
@click.option("--within", "within_min", default=60, show_default=True,
              type=click.IntRange(1, 60 * 24 * 31), help="Minutes before and after.")  # fmt: skip
@click.option("--subject", "subjects", is_flag=True, help="Show subjects.")
@click.option("--user", help="Show only this owner of the mail: address or id.")
@click.option("--all", "user", flag_value=EVERY, help="Show every owner, without a summary.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def trace(
    *,
    name: str | None,
    recipient: str | None,
    around: int,
    within_min: int,
    subjects: bool,
    user: str | None,
    as_json: bool,
) -> None:
    """Show where a mail is now and the hops it took.

    NAME is the mail id from SMTP's 250 reply, the id of a message in a mailbox, or a Message-ID.
    """
    if (name is None) == (recipient is None):
        raise click.UsageError("give either NAME or --recipient ADDRESS")
    if name is not None:
        uuid_version(name)  # refuse a malformed name before any store is opened
    span = {"around_ms": around, "within_ms": within_min * MINUTE_MS}
    owner = "" if user in {None, EVERY} else str(user)
    result = asyncio.run(_trace(name or "", recipient, span, owner=owner, subjects=subjects))
    ends = result.ends
    if ends and user is not None and user != EVERY:
        ends = of_owner(ends, user)
    if as_json:
        click.echo(json.dumps(_as_json(result.candidates, ends), ensure_ascii=False))
        return
    lines = _lines(ends) if user == EVERY or len(ends) <= SHOWN_MAX else summary(ends)
    click.echo("\n".join(lines if ends else map(_candidate, result.candidates)))


async def _trace(
    name: str, recipient: str | None, span: dict[str, int], *, owner: str, subjects: bool
) -> TraceResult:
    config = load_running()
    async with adapters(config) as opened:
        ports = await _ports(config, opened)
        places = await received_places(ports.ledger.places, await opened.directory())
        tracer = Tracer(
            ports=ports,
            find_records=partial(find_in_flight, config.bootstrap, places=places),
            held=lambda: asyncio.to_thread(_held_partitions, config),
            subjects=subjects,
        )
        if recipient is not None:
            return await tracer.by_recipient(recipient, **span)
        return await tracer.by_name(name, owner=owner)


async def _ports(config: Config, opened: Adapters) -> TracePorts:
    directory = await opened.directory()
    return TracePorts(
        ledger=await opened.ledger(),
        submissions=await opened.submissions(),
        store=await opened.mail_store(),
        quarantine=await opened.quarantine(),
        users=directory,
        resolver=DirectoryResolver(directory, config.hostname),
    )


def _held_partitions(config: Config) -> list[HeldPartition]:
    """Return the partitions that wait for an engine; [] if the stack is down."""
    try:
        roles = read_status(config.home)["roles"]
    except (NotRunning, StateFolderError):
        return []
    return msgspec.convert([row for role in roles for row in role["held"]], list[HeldPartition])


def summary(ends: Sequence[DeliveryEnd]) -> list[str]:
    """Count places by state; show up to SHOWN_MAX that are not a mailbox, and one that is."""
    counts = Counter("deleted" if end.deleted else end.state for end in ends)
    stored = [end for end in ends if end.state == STORED]
    undelivered = [end for end in ends if end.state != STORED]
    shown = [*undelivered[:SHOWN_MAX], *stored[:1]]
    return [
        ", ".join(f"{number} {state}" for state, number in counts.most_common()),
        f"{len(shown)} of {len(ends)} shown; --user ADDRESS shows another, --all shows all",
        *_lines(shown),
    ]


def _candidate(mail: TraceCandidate) -> str:
    subject = "" if mail.subject is None else f"  {mail.subject}"
    return f"{mail.mail_id}  {rfc3339(mail.accepted_at_ms)}  {', '.join(mail.states)}{subject}"


def _lines(ends: Sequence[DeliveryEnd]) -> list[str]:
    lines = []
    for end in ends:
        lines.append(end.where)
        lines += [f"  subject: {end.subject}"] if end.subject is not None else []
        lines += hop_lines(end.hops)
        lines += [f"  verdict: {verdict_line(end.verdict)}"] if end.verdict else []
    return lines


def _as_json(candidates: list[TraceCandidate], ends: list[DeliveryEnd]) -> dict[str, Any]:
    """One mail with its places, or the candidates."""
    if ends:
        return {"mail_id": candidates[0].mail_id, "ends": msgspec.to_builtins(ends)}
    return {"candidates": msgspec.to_builtins(candidates)}
