"""postriver audit: account for every mail accepted in a span of time, by mail id."""

import asyncio
import json
import sys
from functools import partial
from typing import Any

import click
import msgspec

from cli.config.config import Config
from cli.stack_addresses import load_running
from cli.time_arguments import HOUR_MS, MOMENT, moment_ms
from cli.wiring.profile import adapters
from mail.clock import now_ms, rfc3339
from mail.errors import Refused, Transient
from operations.audit import audit as run_audit
from operations.audit import not_entered
from operations.ports import AuditPorts, SubmissionAuditPorts
from operations.relay_queue import queued_addresses
from operations.submission_audit import SubmissionReport, audit_submissions
from schemas.ledger import (
    DISCARDED,
    IN_FLIGHT,
    MISSING,
    PARKED,
    QUARANTINED,
    REJECTED,
    STORED,
    AuditReport,
    MissingDelivery,
)
from streams.readers.in_flight_search import (
    LogDeadLetters,
    LogInFlightMails,
    received_places,
)

SHOWN = (STORED, QUARANTINED, REJECTED, PARKED, DISCARDED, IN_FLIGHT, MISSING)


@click.command()
@click.option("--hour", type=MOMENT, default=None, help="The hour that contains this time.")
@click.option("--since", type=MOMENT, default=None, help="Time or age; default 24h.")
@click.option("--until", type=MOMENT, default=None, help="Time or age; default now.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def audit(*, hour: int | None, since: int | None, until: int | None, as_json: bool) -> None:
    """Prove by mail id where every accepted mail is; exit code 1 when one is missing."""
    since_ms, until_ms = _span(hour, since, until)
    try:
        report, sent, unentered = asyncio.run(_audit(load_running(), since_ms, until_ms))
    except Transient as error:
        raise Refused(f"nothing is proven: {error}") from error
    if as_json:
        click.echo(json.dumps(_plain(report, sent, unentered)))
    else:
        click.echo(_table(report, sent, unentered))
    sys.exit(1 if report.lost or sent.lost else 0)


def _span(hour: int | None, since: int | None, until: int | None) -> tuple[int, int]:
    if hour is not None:
        if since is not None or until is not None:
            raise click.UsageError("--hour excludes --since and --until")
        begin = hour - hour % HOUR_MS
        return begin, begin + HOUR_MS
    begin = moment_ms("24h") if since is None else since
    end = now_ms() if until is None else until
    if begin >= end:
        raise click.UsageError("--since must be before --until")
    return begin, end


async def _audit(
    config: Config, since_ms: int, until_ms: int
) -> tuple[AuditReport, SubmissionReport, int]:
    async with adapters(config) as opened:
        unentered = await not_entered(config.bootstrap)
        ledger = await opened.ledger()
        places = await received_places(ledger.places, await opened.directory())
        store = await opened.mail_store()
        in_flight = LogInFlightMails(config.bootstrap, places=places)
        ports = AuditPorts(
            ledger=ledger,
            store=store,
            quarantine=await opened.quarantine(),
            contents=await opened.contents(),
            letters=LogDeadLetters(config.bootstrap),
            in_flight=in_flight,
        )
        sent_ports = SubmissionAuditPorts(
            submissions=await opened.submissions(),
            store=store,
            in_flight=in_flight,
            queued=partial(queued_addresses, await opened.relay_queue()),
        )
        span = {"since_ms": since_ms, "until_ms": until_ms}
        received = await run_audit(ports, **span)
        return received, await audit_submissions(sent_ports, **span), unentered


def _table(report: AuditReport, sent: SubmissionReport, unentered: int) -> str:
    span = f"{rfc3339(report.since_ms)} to {rfc3339(report.until_ms)}"
    lines = [f"accepted from {span}: {report.mails} mails", ""]
    lines += [f"  {state.replace('_', ' '):<12}{_count(report, state):>10}" for state in SHOWN]
    lines += [f"  {'deliveries':<12}{report.deliveries:>10}", ""]
    lines += [_missing(delivery) for delivery in report.lost]
    lines += [f"sent by users: {sent.submissions} mails", ""] if sent.submissions else []
    lines += [f"  {status:<12}{number:>10}" for status, number in sorted(sent.counts.items())]
    lines += [""] if sent.submissions else []
    lines += [f"MISSING  {each.submission_id}  sent by a user: {each.what}" for each in sent.lost]
    if unentered:
        lines.append(
            f"note: {unentered} mails are in the log and not yet in the ledger: not counted here"
        )
    is_lost = report.lost or sent.lost
    lines.append(f"{'NOT every' if is_lost else 'every'} mail is accounted for")
    return "\n".join(lines)


def _missing(lost: MissingDelivery) -> str:
    accepted = rfc3339(lost.accepted_at_ms)
    return f"MISSING  {lost.mail_id}  user {lost.user_id}  accepted {accepted}: {lost.why}"


def _count(report: AuditReport, state: str) -> int:
    return report.counts.get(state, 0)


def _plain(report: AuditReport, sent: SubmissionReport, unentered: int) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(report)
    plain["since"], plain["until"] = rfc3339(plain.pop("since_ms")), rfc3339(plain.pop("until_ms"))
    plain["counts"] = {state: _count(report, state) for state in SHOWN}
    for delivery in plain["lost"]:
        delivery["accepted_at"] = rfc3339(delivery.pop("accepted_at_ms"))
    return plain | {"sent": msgspec.to_builtins(sent), "not_entered": unentered}
