"""postriver audit: is every mail that was accepted in a span of time accounted for? By mail id."""

import asyncio
import json
import sys
from typing import Any

import click
import msgspec

from cli.config.config import Config
from cli.formatting import when
from cli.stack_addresses import load_running
from cli.time_arguments import HOUR_MS, MOMENT, moment_ms
from cli.wiring.profile import adapters
from mail.clock import now_ms
from mail.errors import Refused, Transient
from operations.audit import audit as prove
from operations.ports import AuditPorts
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
from streams.config import Bootstrap
from streams.readers.in_flight_search import LogDeadLetters, LogInFlightMails
from streams.readers.lag import lags
from streams.topology import CUSTODY, DEAD_LETTERS, GROUP_PREFIX

SHOWN = (STORED, QUARANTINED, REJECTED, PARKED, DISCARDED, IN_FLIGHT, MISSING)
ENTRY_PATIENCE_S = 15.0
RECEIVED = "mail.received"


@click.command()
@click.option("--hour", type=MOMENT, default=None, help="The hour that this time lies in.")
@click.option("--since", type=MOMENT, default=None, help="Time or age; 24h if nothing is said.")
@click.option("--until", type=MOMENT, default=None, help="Time or age; now if nothing is said.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def audit(*, hour: int | None, since: int | None, until: int | None, as_json: bool) -> None:
    """Prove by mail id where every accepted mail is; exit code 1 when one is missing."""
    since_ms, until_ms = _span(hour, since, until)
    try:
        account, unentered = asyncio.run(_audit(load_running(), since_ms, until_ms))
    except Transient as error:
        raise Refused(f"nothing is proven: {error}") from error
    click.echo(json.dumps(_plain(account, unentered)) if as_json else _table(account, unentered))
    sys.exit(1 if account.lost else 0)


def _span(hour: int | None, since: int | None, until: int | None) -> tuple[int, int]:
    if hour is not None:
        if since is not None or until is not None:
            raise click.UsageError("--hour is a span already")
        begin = hour - hour % HOUR_MS
        return begin, begin + HOUR_MS
    begin = moment_ms("24h") if since is None else since
    end = now_ms() if until is None else until
    if begin >= end:
        raise click.UsageError("--since is not before --until")
    return begin, end


async def _audit(config: Config, since_ms: int, until_ms: int) -> tuple[AuditReport, int]:
    async with adapters(config) as opened:
        unentered = await _unentered(config.bootstrap)
        ports = AuditPorts(
            ledger=await opened.ledger(),
            store=await opened.mail_store(),
            quarantine=await opened.quarantine(),
            contents=await opened.contents(),
            letters=LogDeadLetters(config.bootstrap),
            in_flight=LogInFlightMails(config.bootstrap),
        )
        return await prove(ports, since_ms=since_ms, until_ms=until_ms), unentered


async def _unentered(bootstrap: Bootstrap) -> int:
    """Mails that are in the log and not in the ledger yet, after a little patience."""
    group = GROUP_PREFIX + CUSTODY
    deadline_s = asyncio.get_running_loop().time() + ENTRY_PATIENCE_S
    while True:
        behind = (await lags(bootstrap, {group: [RECEIVED, DEAD_LETTERS]}))[group][RECEIVED]
        if not behind or asyncio.get_running_loop().time() > deadline_s:
            return behind
        await asyncio.sleep(0.5)


def _table(account: AuditReport, unentered: int) -> str:
    span = f"{when(account.since_ms)} to {when(account.until_ms)}"
    lines = [f"accepted from {span}: {account.mails} mails", ""]
    lines += [f"  {state.replace('_', ' '):<12}{_count(account, state):>10}" for state in SHOWN]
    lines += [f"  {'deliveries':<12}{account.deliveries:>10}", ""]
    lines += [_missing(one) for one in account.lost]
    if unentered:
        lines.append(
            f"note: {unentered} mails wait in the log for custody, and are not in this account"
        )
    lines.append(f"{'NOT every' if account.lost else 'every'} mail is accounted for")
    return "\n".join(lines)


def _missing(lost: MissingDelivery) -> str:
    accepted = when(lost.accepted_at_ms)
    return f"MISSING  {lost.mail_id}  user {lost.user_id}  accepted {accepted}: {lost.why}"


def _count(account: AuditReport, state: str) -> int:
    return account.counts.get(state, 0)


def _plain(account: AuditReport, unentered: int) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(account)
    plain["since"], plain["until"] = when(plain.pop("since_ms")), when(plain.pop("until_ms"))
    plain["counts"] = {state: _count(account, state) for state in SHOWN}
    for one in plain["lost"]:
        one["accepted_at"] = when(one.pop("accepted_at_ms"))
    return plain | {"not_entered": unentered}
