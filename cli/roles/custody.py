"""The process `custody`: the ledger of accepted mails, and the look after them."""

import logging
import time
from asyncio import Event
from collections.abc import Iterable
from typing import Any

from agents.background.content_sweeper import ContentSweeper
from agents.background.custodian import Custodian, CustodyConfig
from agents.background.stale_holders import StaleHolders
from agents.ports import CustodyPorts, StaleHolderPorts, SweepPorts
from cli.config.config import Config
from cli.roles.health_endpoint import HealthReport, Sample, serve_health
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters
from mail.clock import now_ms, rfc3339
from mail.lifecycle import repeating, running
from operations.ports import ReleasePorts
from operations.quarantine import publish_pending
from schemas.content import Lease
from schemas.ledger import ENDS
from stack.state_folder import existing
from stores.sqlite.database_file import CommitTimes
from streams.config import PublisherConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.readers.in_flight_search import LogDeadLetters, LogInFlightMails
from streams.readers.ledger_feed import LedgerFeed
from streams.topics.admin import wait_for_topics
from streams.topology import CUSTODY, DEAD_LETTERS

log = logging.getLogger("postriver.custody")
LOOK_INTERVAL_S = 5.0
STALL_LIMIT_S = 300.0

LEFTOVERS_FIRST_S, LEFTOVERS_INTERVAL_S = 3600.0, 86_400.0
RELEASE_INTERVAL_S = 60.0
SWEEP_INTERVAL_S = 30.0  # a look at leases; the sweeper itself keeps its turns apart

AtWork = list[tuple[LedgerFeed, Custodian, ContentSweeper]]


async def run(config: Config, stop: Event) -> None:
    """Ready once it has its partitions."""
    at_work: AtWork = []
    commit_times = CommitTimes()
    health = await serve_health(
        existing(config.home).socket(CUSTODY), _report(at_work), commit_times
    )
    try:
        async with adapters(config, commit_times) as opened:
            topics = TopicsConfig(bootstrap=config.bootstrap)
            epochs = await wait_for_topics(topics, await opened.directory())
            ports, sweep_ports, release_ports = await _ports(config, opened)
            custodian = Custodian(
                ports, epochs[DEAD_LETTERS], CustodyConfig(keep_days=config.ledger_days)
            )
            sweeper = ContentSweeper(sweep_ports)
            leftovers = StaleHolders(_leftover_ports(config, ports))
            async with (
                running(LedgerFeed(config.bootstrap, custodian.take)) as feed,
                repeating(CUSTODY, custodian.turn, LOOK_INTERVAL_S),
                repeating("sweep", sweeper.turn, SWEEP_INTERVAL_S),
                repeating("releases", lambda: _release(config, release_ports), RELEASE_INTERVAL_S),
                repeating(
                    "leftovers", leftovers.turn, LEFTOVERS_INTERVAL_S, first_s=LEFTOVERS_FIRST_S
                ),
            ):
                at_work.append((feed, custodian, sweeper))
                await stop.wait()
    finally:
        await health.cleanup()


async def _ports(config: Config, opened: Adapters) -> tuple[CustodyPorts, SweepPorts, ReleasePorts]:
    ledger, quarantine = await opened.ledger(), await opened.quarantine()
    holders, contents = await opened.holders(), await opened.contents()
    ports = CustodyPorts(
        ledger=ledger,
        store=await opened.mail_store(),
        quarantine=quarantine,
        holders=holders,
        in_flight=LogInFlightMails(config.bootstrap),
    )
    sweep = SweepPorts(
        contents=await opened.content_sweep(),
        holders=holders,
        quarantine=quarantine,
        in_flight=LogInFlightMails(config.bootstrap),
    )
    release = ReleasePorts(quarantine=quarantine, contents=contents, holders=holders, ledger=ledger)
    return ports, sweep, release


def _leftover_ports(config: Config, ports: CustodyPorts) -> StaleHolderPorts:
    return StaleHolderPorts(
        holders=ports.holders,
        quarantine=ports.quarantine,
        letters=LogDeadLetters(config.bootstrap),
        ledger=ports.ledger,
        in_flight=LogInFlightMails(config.bootstrap),
    )


async def _release(config: Config, ports: ReleasePorts) -> None:
    """Publish what operators released and their commands did not; a producer only when needed."""
    if not await ports.quarantine.list_unpublished(limit=1):
        return
    river = PublisherConfig(bootstrap=config.bootstrap, client_id=CUSTODY)
    async with running(KafkaPublisher(river)) as publisher:
        at_ms, worker = now_ms(), f"{CUSTODY}@{config.hostname}"
        count = await publish_pending(ports, publisher, now_ms=at_ms, worker=worker)
    if count:
        log.warning("published %d releases from quarantine that had been cut short", count)


def _report(at_work: AtWork) -> HealthReport:
    def reasons() -> list[str]:
        return [] if at_work and at_work[0][0].status.ready else ["waiting for the broker"]

    def status() -> dict[str, Any]:
        if not at_work:
            return {"lag": 0, "held": [], "detail": {}}
        feed, custodian, sweeper = at_work[0]
        totals = custodian.totals
        detail: dict[str, Any] = {}
        if totals is not None:
            detail = {"open": totals.open_mails, "missing": totals.missing_mails}
        if sweeper.leases:
            detail["sweep"] = "; ".join(map(_paused_by, sweeper.leases))
        said = {"detail": detail, "warnings": _warnings(at_work)}
        return {"lag": feed.status.lag, "held": [], **said}

    return HealthReport(
        reasons=reasons,
        unhealthy=lambda: _unhealthy(at_work),
        status=status,
        samples=lambda: _samples(*at_work[0]) if at_work else (),
    )


def _paused_by(lease: Lease) -> str:
    return f"paused by {lease.purpose} since {rfc3339(lease.taken_at_ms)}"


def _unhealthy(at_work: AtWork) -> str | None:
    if not at_work or not at_work[0][0].status.ready:
        return None
    still_s = time.monotonic() - at_work[0][0].status.moved_s
    return f"the log was not read for {still_s:.0f} s" if still_s > STALL_LIMIT_S else None


def _warnings(at_work: AtWork) -> list[str]:
    feed, custodian, _ = at_work[0]
    skipped = feed.status.skipped
    gone = [f"{skipped} records left the log before custody read them"] if skipped else []
    return custodian.warnings() + gone


def _samples(feed: LedgerFeed, custodian: Custodian, sweeper: ContentSweeper) -> Iterable[Sample]:
    yield Sample(
        name="postriver_swept_contents", value=sweeper.deleted,
        help="Contents deleted because nobody needed them.",
    )  # fmt: skip
    yield _count("accepted_mails", "Mails entered in the ledger.", custodian.accepted)
    yield _count("unreadable_records", "Records that are no mail.", feed.status.unreadable)
    yield _count("skipped_records", "Records gone before they were read.", feed.status.skipped)
    for state in ENDS:
        yield _count("closed_deliveries", "Ends found.", custodian.closed[state], state=state)
    yield _gauge("lag_records", "Records not entered yet.", feed.status.lag)
    totals = custodian.totals
    if totals is not None:
        oldest_ms = totals.oldest_open_at_ms
        age_s = 0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000)
        yield _gauge("open_mails", "Mails whose end is not known yet.", totals.open_mails)
        yield _gauge("oldest_open_seconds", "Age of the oldest open mail.", age_s)
        yield _gauge("missing_mails", "Mails that are nowhere.", totals.missing_mails)


def _count(name: str, text: str, value: float, **labels: str) -> Sample:
    return Sample(name=f"postriver_custody_{name}", help=text, value=value, labels=labels)


def _gauge(name: str, text: str, value: float) -> Sample:
    return Sample(name=f"postriver_custody_{name}", help=text, value=value, kind="gauge")
