"""postriver trace: where a mail is, and every stage that it has passed."""

import asyncio
import json
from collections import Counter
from typing import Any

import click
import msgspec

from cli.formatting import hop_lines, verdict_line, when
from cli.stack_addresses import load_running
from cli.time_arguments import MOMENT
from cli.tracing import STORED, DeliveryEnd, TraceCandidate, Tracer, version_of
from cli.wiring.profile import adapters
from mail.errors import NotFound

MINUTE_MS = 60_000
EVERY = "*"  # no address and no id
SHOWN_MAX = 10  # ends, before they are counted instead


@click.command()
@click.argument("name", required=False)
@click.option("--recipient", help="Mails to this address instead, about --around.")
@click.option("--around", type=MOMENT, default="now", help="Time or age; now if nothing is said.")
@click.option("--within", "within_min", default=60, show_default=True,
              type=click.IntRange(1, 60 * 24 * 31), help="Minutes before and after.")  # fmt: skip
@click.option("--subject", "subjects", is_flag=True, help="Show subjects.")
@click.option("--user", help="Only this owner of the mail: address or id.")
@click.option("--all", "user", flag_value=EVERY, help="Every owner, however many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
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

    NAME is the mail id that SMTP's 250 gave, the id of a message in a mailbox, or a Message-ID.
    """
    if (name is None) == (recipient is None):
        raise click.UsageError("name a mail, or say --recipient ADDRESS")
    if name is not None:
        version_of(name)  # what is no name at all is told before anything is opened
    span = {"around_ms": around, "within_ms": within_min * MINUTE_MS}
    found, ends = asyncio.run(_trace(name or "", recipient, span, subjects=subjects))
    if ends and user is not None and user != EVERY:
        ends = of_owner(ends, user)
    if as_json:
        click.echo(json.dumps(_plain(found, ends), ensure_ascii=False))
    else:
        lines = _ends(ends) if user == EVERY or len(ends) <= SHOWN_MAX else summary(ends)
        click.echo("\n".join(lines if ends else map(_candidate, found)))


async def _trace(
    name: str, recipient: str | None, span: dict[str, int], *, subjects: bool
) -> tuple[list[TraceCandidate], list[DeliveryEnd]]:
    """Candidates newest first; the ends when there is only one."""
    config = load_running()
    async with adapters(config) as opened:
        tracer = await Tracer.open(config, opened, subjects=subjects)
        if recipient is not None:
            found = await tracer.candidates(recipient, **span)
            if not found:
                raise NotFound(f"no mail to {recipient} was accepted about that time")
            return found, await tracer.ends(found[0].mail_id) if len(found) == 1 else []
        mail_ids = await tracer.mails_named(name)
        found = await tracer.candidates_of(mail_ids)
        if len(mail_ids) > 1:
            return found, []
        ends = await tracer.ends(mail_ids[0])
        return found or [TraceCandidate(mail_id=mail_ids[0], accepted_at_ms=0, states=())], ends


def _candidate(one: TraceCandidate) -> str:
    subject = "" if one.subject is None else f"  {one.subject}"
    return f"{one.mail_id}  {when(one.accepted_at_ms)}  {', '.join(one.states)}{subject}"


def of_owner(ends: list[DeliveryEnd], user: str) -> list[DeliveryEnd]:
    """Those of one owner. NotFound."""
    found = [end for end in ends if user.casefold() in {end.address.casefold(), end.user_id}]
    if not found:
        raise NotFound(f"{user} is no owner of this mail whose message or command is known")
    return found


def summary(ends: list[DeliveryEnd]) -> list[str]:
    """Owners by state; what has not arrived, SHOWN_MAX of it; one end of all that has."""
    counts = Counter("deleted" if end.deleted else end.state for end in ends)
    arrived = [end for end in ends if end.state == STORED]
    open_ones = [end for end in ends if end.state != STORED]
    shown = [*open_ones[:SHOWN_MAX], *arrived[:1]]
    return [
        ", ".join(f"{number} {state}" for state, number in counts.most_common()),
        f"{len(shown)} of {len(ends)} shown; --user ADDRESS shows another, --all every one",
        *_ends(shown),
    ]


def _ends(ends: list[DeliveryEnd]) -> list[str]:
    lines = []
    for end in ends:
        lines.append(end.where)
        lines += [f"  subject: {end.subject}"] if end.subject is not None else []
        lines += hop_lines(end.hops)
        lines += [f"  verdict: {verdict_line(end.verdict)}"] if end.verdict else []
    return lines


def _plain(found: list[TraceCandidate], ends: list[DeliveryEnd]) -> dict[str, Any]:
    """One mail with its ends, or the candidates."""
    if ends:
        return {"mail_id": found[0].mail_id, "ends": msgspec.to_builtins(ends)}
    return {"candidates": msgspec.to_builtins(found)}
