"""The river: processes, what is held, topics as they should be, who is behind, dead letters."""

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
    """From the supervisor's /status."""
    found = [
        problem("processes", f"{name}: {why}", f"tail {home.log / name}.log")
        for name, why in status["reasons"].items()
    ]
    found += [
        problem("warnings", said, "see docs/operations.md and the process's log")
        for role in status["roles"]
        for said in role.get("warnings", ())
    ]
    found += [
        note("sweep", sweep, "none: it goes on by itself when the backup has ended")
        for row in status["roles"]
        if (sweep := row.get("detail", {}).get("sweep"))
    ]
    rows = [*status["processes"], *status["engines"]]
    found += [
        note(
            "restarts", f"{row['name']} was started again {row['restarts']} times",
            f"grep {row['name']} {home.log / 'supervisor.log'}",
        )
        for row in rows
        if row.get("restarts", 0) >= RESTARTS_MANY
    ]  # fmt: skip
    return [*(found or [ok("processes", f"{len(rows)} run, state {status['state']}")])]


def held(status: Mapping[str, Any], at_ms: int | None = None) -> list[Finding]:
    """Partitions that wait for an engine; for long is somebody's to mend."""
    found = []
    for row in (one for role in status["roles"] for one in role["held"]):
        since_s = max(0, (now_ms() if at_ms is None else at_ms) - row["since_ms"]) / 1000
        what = f"{row['stage']} has waited {since_s:.0f} s for {row['engine']}: {row['detail']}"
        make = problem if since_s > HELD_LONG_S else note
        do = (
            f"mend {row['engine']}; mail goes on by itself then. If it serves other mail: "
            f"postriver dead-letters park {event_of(row)}"
        )
        found.append(make("held", what, do))
    return found or [ok("held", "nothing waits for an engine")]


async def topics(config: Config) -> list[Finding]:
    """BrokerUnavailable."""
    asked = TopicsConfig(bootstrap=config.bootstrap, request_limit_s=LIMIT_S)
    found = [
        problem(
            "topics", f"{one.topic}: {one.setting} is {one.found}, wanted {one.wanted}",
            "postriver down; postriver up mends it, or says why it must not",
        )
        for one in await topic_differences(asked)
    ]  # fmt: skip
    return [*(found or [ok("topics", "as the topology has them")])]


async def lag(config: Config) -> list[Finding]:
    """BrokerUnavailable."""
    async with running(LagMeter(config.bootstrap, timeout_s=LIMIT_S)) as meter:
        read = await meter.read(all_groups())
    behind = {group: sum(topics.values()) for group, topics in read.items()}
    found = [
        note("lag", f"{group} is {events} events behind", "postriver status; wait, or see held")
        for group, events in behind.items()
        if events > LAG_LONG
    ]
    return found or [ok("lag", f"{sum(behind.values())} events wait in all")]


async def dead_letters(config: Config) -> list[Finding]:
    """BrokerUnavailable."""
    async with LogClient(config.bootstrap, timeout_s=LIMIT_S) as log:
        parts = await log.partitions([DEAD_LETTERS])
        begins, ends = await log.begins(parts), await log.ends(parts)
    letters = sum(ends[part] - begins[part] for part in parts)
    if letters:
        what = f"{letters} events could not be handled, now or before"
        return [note("dead letters", what, "postriver dead-letters list")]
    return [ok("dead letters", "none")]
