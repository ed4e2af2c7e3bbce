"""One run: the posts, the kills while they are on their way, and the findings."""

import asyncio
import random
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from stack.state_folder import socket_path
from stack.supervision.http_probe import http_get
from tests.chaos.copies import Backups
from tests.chaos.faults import FaultInjector
from tests.chaos.plan import Fault
from tests.chaos.proof import wait_until_drained
from tests.chaos.trial import keep_logs, restarts
from tests.support.stack_world import UNLIMITED_SENDING, World, folder_of, free_port_base, started
from tests.support.waiting import eventually

from .findings import Findings, all_submissions
from .load import Load, Post, posts
from .peer import Arrivals, arrivals

EDGES = ("api", "api-2")
VICTIMS = (*EDGES, "intake", "intake", "relay", "relay", "relay", "mailbox", "kafka")
PAUSE_S = (0.5, 5.0)  # between two kills
PROGRESS = (1, 60)  # answers and arrivals between two kills
PROGRESS_MAX_S = 30.0  # then the next process is killed all the same
KILLED_UNTIL = 0.9  # of the deliveries to the other domain; then the run comes to its end
SETTLED_WITHIN_S = 3600.0  # a delivery in doubt waits for 15 minutes
READY_WITHIN_S = 240.0


@dataclass(slots=True)
class PostReport:
    """Figures of a run; no findings: everything that must be true was true."""

    seed: int
    posts: int
    findings: list[str] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)  # by status or error
    by_edge: dict[str, int] = field(default_factory=dict)  # requests that an edge has answered
    kills: dict[str, int] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    deliveries: int = 0  # to the other domain, each counted once
    in_doubt: int = 0  # recipients whose mail waited 15 minutes at the end of the load
    repeated: int = 0  # deliveries that were made more than once
    load_s: float = 0.0
    took_s: float = 0.0

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class _Run:
    """The parts of a run."""

    report: PostReport
    world: World
    arrivals: Arrivals
    made: list[Post]
    load: Load
    relay_ended_s: list[float] = field(default_factory=list)

    @property
    def expected(self) -> int:
        return sum(len(post.far) for post in self.made)

    def kill_by_seed(self) -> None:
        """Kill process after process until most mails have left."""
        chance = random.Random(f"{self.report.seed}/kills")
        injector = FaultInjector(self.world, None, None, Backups(self.world.home.parent))
        while self.load.is_running or len(self.arrivals.at_s) < KILLED_UNTIL * self.expected:
            time.sleep(chance.uniform(*PAUSE_S))
            self.wait_for_progress(chance.randint(*PROGRESS))
            victim = chance.choice(VICTIMS)
            if victim in EDGES:
                self.count_requests(victim)
            with injector.inject(Fault("killed", victim)):
                self.report.kills[victim] = self.report.kills.get(victim, 0) + 1
                if victim == "relay":
                    self.relay_ended_s.append(time.monotonic())

    def wait_for_progress(self, count: int) -> None:
        """Wait for `count` more answers and arrivals: kills without pause would stop everything."""
        until, end_s = self.progress + count, time.monotonic() + PROGRESS_MAX_S
        while self.progress < until and time.monotonic() < end_s:
            time.sleep(0.05)

    @property
    def progress(self) -> int:
        return self.load.outcomes["202"] + len(self.arrivals.at_s)

    def count_requests(self, *edges: str) -> None:
        """Add what the edges have answered since they started, as they are about to end."""
        for name in edges:
            try:
                _, page = asyncio.run(http_get(socket_path(self.world.home, name), "/metrics"))
            except (OSError, TimeoutError, aiohttp.ClientError):
                continue
            lines = [
                line for line in page.decode().splitlines()
                if line.startswith("postriver_http_requests_total")
            ]  # fmt: skip
            count = sum(float(line.rpartition(" ")[2]) for line in lines)
            self.report.by_edge[name] = self.report.by_edge.get(name, 0) + int(count)

    def settle(self) -> None:
        """Wait until no submission is on its way."""
        eventually(
            lambda: self.world.look()["state"] == "ready", within_s=READY_WITHIN_S, what="ready"
        )
        wait_until_drained(self.world)
        self.report.in_doubt = sum(
            recipient["status"] in {"pending", "deferred"}
            for row in self.unfinished()
            for recipient in row["recipients"]
        )
        print(f"{self.report.in_doubt} recipients are in doubt", flush=True)
        eventually(lambda: not self.unfinished(), within_s=SETTLED_WITHIN_S, what="the last mails")
        wait_until_drained(self.world)

    def unfinished(self) -> list[dict[str, Any]]:
        rows = [row for writer in self.load.writers for row in all_submissions(writer)]
        return [row for row in rows if row["status"] in {"held", "queued"}]


def run(report: PostReport, *, logs: Path) -> None:
    """Fill in the report. With findings, or if the run does not end, logs are copied to `logs`."""
    began_s = time.monotonic()
    with ExitStack() as closing:
        folder = closing.enter_context(folder_of("posts"))
        far = closing.enter_context(arrivals(report.seed))
        extra = UNLIMITED_SENDING | far.domain.settings | {"POSTRIVER_API_PROCESSES": "2"}
        world = World(folder / "home", free_port_base(), extra=extra)
        try:
            closing.enter_context(started(world))
            made = posts(report.seed, report.posts)
            _carry_out(_Run(report, world, far, made, Load(world, made)))
        except BaseException:
            keep_logs(world, logs)
            raise
        if report.findings:
            keep_logs(world, logs)
    report.took_s = round(time.monotonic() - began_s, 1)


def _carry_out(parts: _Run) -> None:
    report, began_s = parts.report, time.monotonic()
    parts.load.start()
    try:
        parts.kill_by_seed()
    except BaseException:
        parts.load.stop()
        raise
    parts.load.join()
    report.load_s = round(time.monotonic() - began_s, 1)
    parts.count_requests(*EDGES)
    parts.settle()
    report.requests = dict(parts.load.outcomes)
    report.deliveries, report.repeated = len(parts.arrivals.at_s), len(parts.arrivals.repeated())
    report.restarts = restarts(parts.world)
    report.findings += Findings(
        world=parts.world,
        posts=parts.made,
        load=parts.load,
        arrivals=parts.arrivals,
        relay_ended_s=parts.relay_ended_s,
    ).all()
    if report.by_edge.keys() != set(EDGES):
        report.findings.append(f"requests were answered by {report.by_edge}")
