"""Both profiles in one run: CPU of a mail by process, latency to the owner, calls of the API.

    python -m benchmarks.profiles [--mails N] [--filled N,N] [--indexed N] [--json FILE]

The stand-in of benchmarks/spamc.py replaces spamd, because the CPU of SpamAssassin would hide all
other costs. Prints tables for docs/performance.md. `make bench PROFILES=1` runs it too.
"""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import api, end_to_end, engine_load, report
from benchmarks.fixtures import Corpus, search_words
from benchmarks.machine import load_average
from benchmarks.processes import written_bytes
from benchmarks.stack import Stack, running, stack
from tests.support.opensearch import free_http_port

PROFILES = ("embedded", "distributed")
USERS = 10
CALLS = 200
WARM_UP_CALLS = 400  # of each kind: a JVM compiles what is called often
IDLE_S = 15.0
QUIET_MAILS = 40
QUIET_PER_S = 4.0
WARM_UP_SHARE = 3  # of the mails, before the measurement
ENGINES = frozenset({"kafka", "clamd", "spamd", "cassandra", "opensearch", "redis", "versitygw"})


async def measure(
    stack_: Stack, users: dict[str, str], boxes: dict[int, str], mails: int, indexed: str
) -> Any:
    """Return the figures of a running stack; mailboxes of the sizes `indexed` are searched."""
    sender = end_to_end.Sender(stack_, Corpus(bodies=0), list(users))
    await engine_load.settled(stack_)
    await end_to_end.throughput(stack_, sender, mails // WARM_UP_SHARE)
    await asyncio.sleep(IDLE_S)  # what follows the mails: custody, commits
    idle = await end_to_end.idle(stack_, IDLE_S)
    asked, written = await engine_load.requests(stack_), written_bytes(stack_.pids())
    flow = await end_to_end.throughput(stack_, sender, mails)
    flow["requests"] = engine_load.per_mail(asked, await engine_load.requests(stack_), mails)
    flow["written"] = engine_load.per_mail(written, written_bytes(stack_.pids()), mails)
    push = await end_to_end.latency(stack_, sender, users, count=QUIET_MAILS, per_s=QUIET_PER_S)
    return {
        "flow": flow,
        "idle": idle,
        "push": push,
        "api": [
            row
            for size, token in boxes.items()
            for row in await api.measure_calls(
                stack_,
                {size: token},
                calls=CALLS,
                words=search_words(CALLS) if str(size) in indexed.split(",") else (),
                warm_up=WARM_UP_CALLS,
            )
        ],
        "load_average": load_average(),
    }


def of_profile(profile: str, mails: int, filled: str, indexed: str) -> Any:
    settings = {"POSTRIVER_PROFILE": profile, "POSTRIVER_OPENSEARCH_PORT": str(free_http_port())}
    seeding = ("benchmarks.seed", "--users", str(USERS), "--filled", filled, "--indexed", indexed)
    with stack(settings) as stack_:
        seeded = stack_.run(*seeding) if profile == "embedded" else ""
        with running(stack_, "--stand-in") as started_s:
            users, boxes = end_to_end.tokens_of(seeded or stack_.run(*seeding))
            found = uvloop.run(measure(stack_, users, boxes, mails, indexed))
    return found | {"started_s": round(started_s, 1)}


def tables(found: dict[str, Any]) -> str:
    """The figures of both profiles side by side."""
    flows = {name: each["flow"] for name, each in found.items()}
    cpu = {name: flow["cpu_ms_per_mail"] for name, flow in flows.items()}
    processes = sorted({process for each in cpu.values() for process in each})
    own = [process for process in processes if process not in ENGINES]
    rows = [[process, *(cpu[name].get(process, "") for name in found)] for process in processes]
    sums = [
        [what, *(round(sum(each.get(one, 0.0) for one in of), 2) for each in values.values())]
        for what, of, values in (
            ("our own processes", own, cpu),
            ("all", processes, cpu),
            (
                "our own processes without mail, ms a second",
                own,
                {name: each["idle"] for name, each in found.items()},
            ),
        )
    ]
    rates = [
        [f"{what} a second", *(flows[name]["per_s"][what] for name in found)]
        for what in ("accepted", "stored", "indexed")
    ]
    push = [[f"`250` to push, {key}", *(found[name]["push"][key] for name in found)]
            for key in ("p50_ms", "p99_ms")]  # fmt: skip
    calls = [
        [f"{row['call']}, {row['mails']} mails: {key}",
         *(found[name]["api"][number][key] for name in found)]
        for number, row in enumerate(next(iter(found.values()))["api"])
        for key in ("p50_ms", "p95_ms", "p99_ms", "cpu_ms")
    ]  # fmt: skip
    loads = [
        [f"{name}: {what}", *(flow[key].get(name, "") for flow in flows.values())]
        for key, what in (("requests", "requests a mail"), ("written", "bytes written a mail"))
        for name in sorted(
            {one for flow in flows.values() for one, value in flow[key].items() if value}
        )
    ]
    starts = [["start, s", *(found[name]["started_s"] for name in found)]]
    return "\n\n".join(
        [
            report.table(["CPU of a mail, ms", *found], [*rows, *sums]),
            report.table(["", *found], [*rates, *push, *calls, *loads, *starts]),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiles", description=__doc__)
    parser.add_argument("--mails", type=int, default=600)
    parser.add_argument("--filled", default="1000,200000")
    parser.add_argument("--indexed", default="200000")
    parser.add_argument("--profile", choices=PROFILES, action="append")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exit also stops the stack
    found = {}
    for profile in options.profile or PROFILES:
        print(f"bench: {profile}", file=sys.stderr, flush=True)
        found[profile] = of_profile(profile, options.mails, options.filled, options.indexed)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    print(tables(found))


if __name__ == "__main__":
    main()
