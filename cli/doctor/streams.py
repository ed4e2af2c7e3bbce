"""Processes and streams: held partitions, topic settings, lag, dead letters."""

from collections.abc import Mapping
from typing import Any

from cli.config.config import Config
from cli.doctor.finding import Finding, note, ok, problem
from cli.formatting import event_of
from mail.clock import now_ms
from mail.lifecycle import running
from stack.state_folder import StateFolder
from streams.config import TopicsConfig
from streams.log_client import LogClient
from streams.readers.lag import LagMeter, all_groups
from streams.topics.admin import topic_differences
from streams.topology import DEAD_LETTERS

LIMIT_S = 5.0
HELD_LONG_S = 900.0
LAG_LONG = 1_000
RESTARTS_MANY = 3


def processes(status: Mapping[str, Any], home: StateFolder) -> list[Finding]:
    """Report unready and restarted processes, and warnings, from the supervisor's /status."""
    findings = [
        problem("processes", f"{name}: {why}", f"tail {home.log / name}.log")
        for name, why in status["reasons"].items()
    ]
    findings += [
        problem("warnings", warning, "see docs/operations.md and the process's log")
        for role in status["roles"]
        for warning in role.get("warnings", ())
    ]
    findings += [
        note("sweep", sweep, "nothing: the sweep continues when the backup has ended")
        for row in status["roles"]
        if (sweep := row.get("detail", {}).get("sweep"))
    ]
    rows = [*status["processes"], *status["engines"]]
    findings += [
        note(
            "restarts", f"{row['name']} was restarted {row['restarts']} times",
            f"grep {row['name']} {home.log / 'supervisor.log'}",
        )
        for row in rows
        if row.get("restarts", 0) >= RESTARTS_MANY
    ]  # fmt: skip
    return findings or [ok("processes", f"{len(rows)} run, state {status['state']}")]


def held(status: Mapping[str, Any], at_ms: int | None = None) -> list[Finding]:
    """Report partitions that wait for an engine; a problem after HELD_LONG_S."""
    findings = []
    for row in (event for role in status["roles"] for event in role["held"]):
        since_s = max(0, (now_ms() if at_ms is None else at_ms) - row["since_ms"]) / 1000
        what = f"{row['stage']} has waited {since_s:.0f} s for {row['engine']}: {row['detail']}"
        finding = problem if since_s > HELD_LONG_S else note
        do = (
            f"repair {row['engine']}; mail then continues by itself. If it serves other mail: "
            f"postriver dead-letters park {event_of(row)}"
        )
        findings.append(finding("held", what, do))
    return findings or [ok("held", "nothing waits for an engine")]


async def topics(config: Config) -> list[Finding]:
    """Compare the broker's topics with the topology. Raises BrokerUnavailable."""
    replicas, in_sync = config.kafka_replicas
    admin = TopicsConfig(
        bootstrap=config.bootstrap, replicas=replicas, min_in_sync=in_sync, request_limit_s=LIMIT_S
    )
    findings = [
        problem(
            "topics", f"{row.topic}: {row.setting} is {row.actual}, expected {row.expected}",
            "postriver down; postriver up corrects it, or says why it must not",
        )
        for row in await topic_differences(admin)
    ]  # fmt: skip
    return findings or [ok("topics", "as in the topology")]


async def lag(config: Config) -> list[Finding]:
    """Report consumer groups with a lag over LAG_LONG. Raises BrokerUnavailable."""
    async with running(LagMeter(config.bootstrap, timeout_s=LIMIT_S)) as meter:
        lags = await meter.read(all_groups())
    behind = {group: sum(topics.values()) for group, topics in lags.items()}
    findings = [
        note("lag", f"{group} is {events} events behind", "postriver status; wait, or see held")
        for group, events in behind.items()
        if events > LAG_LONG
    ]
    return findings or [ok("lag", f"{sum(behind.values())} events wait in total")]


async def dead_letters(config: Config) -> list[Finding]:
    """Count the records of dead.letters. Raises BrokerUnavailable."""
    async with LogClient(config.bootstrap, timeout_s=LIMIT_S) as log:
        parts = await log.partitions([DEAD_LETTERS])
        begins, ends = await log.begins(parts), await log.ends(parts)
    records = sum(ends[part] - begins[part] for part in parts)
    if records:
        what = f"{records} records: events that could not be handled, now or before"
        return [note("dead letters", what, "postriver dead-letters list")]
    return [ok("dead letters", "none")]
