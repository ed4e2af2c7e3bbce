"""Role custody: the ledger of accepted mails, and the background jobs that use it.

Runs the custodian, the content sweep, the packing of small contents (distributed profile), the
release of holders that deposits, submissions, quarantine and dead letters no longer need, and the
publication of releases from quarantine whose command was cut short.
"""

import logging
import time
from asyncio import Event
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, NamedTuple

from agents.background.content_sweeper import ContentSweeper
from agents.background.custodian import Custodian, CustodyConfig
from agents.background.deposit_holders import DepositHolders
from agents.background.housekeeping import Housekeeping
from agents.background.settled_submissions import SettledSubmissions
from agents.background.stale_holders import StaleHolders
from agents.ports import (
    CustodyPorts,
    DepositHolderPorts,
    SettledSubmissionsPorts,
    StaleHolderPorts,
    SweepPorts,
)
from cli.config.config import Config
from cli.roles.health_endpoint import HealthReport, serve_health
from cli.roles.metrics import COUNTER, GAUGE, Metric, collect
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters
from mail.clock import DAY_MS, now_ms, rfc3339
from mail.lifecycle import repeating, running
from mail.ports import ContentPacking
from operations.ports import ReleasePorts
from operations.quarantine import publish_pending
from schemas.content import Lease
from schemas.ledger import TERMINAL
from stack.state_folder import existing
from stores.sqlite.database_file import CommitTimes
from streams.config import PublisherConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.readers.in_flight_search import LogDeadLetters, LogInFlightMails, ReceivedPlaces
from streams.readers.ledger_feed import LedgerFeed, LedgerFeedConfig
from streams.topics.admin import wait_for_topics
from streams.topology import CUSTODY, DEAD_LETTERS, RECEIVED

log = logging.getLogger("postriver.custody")
CUSTODIAN_INTERVAL_S = 5.0
STALL_LIMIT_S = 300.0
STALE_HOLDERS_FIRST_S, STALE_HOLDERS_INTERVAL_S = 3600.0, 86_400.0
DEPOSITS_INTERVAL_S = 3600.0
RELEASE_INTERVAL_S = 60.0
SETTLED_INTERVAL_S = 600.0
PACKING_INTERVAL_S = 60.0
SWEEP_INTERVAL_S = 30.0  # of the check for leases; the sweeper limits its own rounds


class Parts(NamedTuple):
    """The parts of the role once it reads the log."""

    feed: LedgerFeed
    custodian: Custodian
    sweeper: ContentSweeper
    packing: ContentPacking | None


METRICS: tuple[Metric[Parts], ...] = (
    Metric("postriver_swept_contents", COUNTER, "Contents deleted because they had no holder.",
           lambda parts: parts.sweeper.deleted),
    Metric("postriver_packed_contents", COUNTER, "Small contents moved into segments.",
           lambda parts: parts.packing.counts().contents if parts.packing else None),
    Metric("postriver_segments", COUNTER, "Segments of contents: written, compacted, deleted.",
           lambda parts: _segments(parts.packing), ("event",)),
    Metric("postriver_custody_accepted_mails", COUNTER, "Mails entered in the ledger.",
           lambda parts: parts.custodian.accepted),
    Metric("postriver_custody_unreadable_records", COUNTER, "Records that are no mail.",
           lambda parts: parts.feed.status.unreadable),
    Metric("postriver_custody_skipped_records", COUNTER, "Records deleted before they were read.",
           lambda parts: parts.feed.status.skipped),
    Metric("postriver_custody_closed_deliveries", COUNTER, "Deliveries that reached an end state.",
           lambda parts: {(end,): parts.custodian.closed[end] for end in TERMINAL}, ("state",)),
    Metric("postriver_custody_lag_records", GAUGE, "Records not entered in the ledger yet.",
           lambda parts: parts.feed.status.lag),
    Metric("postriver_custody_open_mails", GAUGE, "Mails with a delivery without an end state.",
           lambda parts: t.open_mails if (t := parts.custodian.totals) else None),
    Metric("postriver_custody_oldest_open_seconds", GAUGE, "Age of the oldest open mail.",
           lambda parts: _oldest_open_s(parts.custodian)),
    Metric("postriver_custody_missing_mails", GAUGE, "Mails with a delivery found nowhere.",
           lambda parts: t.missing_mails if (t := parts.custodian.totals) else None),
)  # fmt: skip


async def run(config: Config, stop: Event) -> None:
    """Run until `stop`. Ready once the ledger feed has its partitions."""
    at_work: list[Parts] = []
    commit_times = CommitTimes()
    health = await serve_health(
        existing(config.home).socket(config.process), _report(at_work), commit_times
    )
    try:
        async with adapters(config, commit_times) as opened:
            topics = TopicsConfig(bootstrap=config.bootstrap)
            epochs = await wait_for_topics(topics, await opened.directory())
            ports, sweep_ports, release_ports = await _ports(config, opened, epochs[RECEIVED])
            feed_config = LedgerFeedConfig(received_epoch=epochs[RECEIVED])
            custodian = Custodian(
                ports, epochs[DEAD_LETTERS], CustodyConfig(keep_days=config.ledger_days)
            )
            sweeper = ContentSweeper(sweep_ports)
            settled = await _settled_submissions(config, opened, ports)
            deposits = DepositHolders(_deposit_holder_ports(config, ports))
            packing = await opened.content_packing()
            async with (
                running(LedgerFeed(config.bootstrap, custodian.take, feed_config)) as feed,
                repeating(CUSTODY, custodian.turn, CUSTODIAN_INTERVAL_S),
                repeating("sweep", sweeper.turn, SWEEP_INTERVAL_S),
                _repeated(packing),
                repeating("releases", lambda: _release(config, release_ports), RELEASE_INTERVAL_S),
                repeating("deposits", deposits.turn, DEPOSITS_INTERVAL_S),
                repeating(
                    "stale holders",
                    StaleHolders(_stale_holder_ports(config, ports)).turn,
                    STALE_HOLDERS_INTERVAL_S,
                    first_s=STALE_HOLDERS_FIRST_S,
                ),
                repeating("settled submissions", settled.turn, SETTLED_INTERVAL_S),
            ):
                at_work.append(Parts(feed, custodian, sweeper, packing))
                await stop.wait()
    finally:
        await health.cleanup()


async def _ports(
    config: Config, opened: Adapters, received_epoch: str
) -> tuple[CustodyPorts, SweepPorts, ReleasePorts]:
    """The ports of the jobs, with one search: a record that one job read is not read again."""
    ledger, quarantine = await opened.ledger(), await opened.quarantine()
    holders, contents = await opened.holders(), await opened.contents()
    places = ReceivedPlaces(read=ledger.places, epoch=received_epoch)
    in_flight = LogInFlightMails(config.bootstrap, places=places)
    ports = CustodyPorts(
        ledger=ledger,
        store=await opened.mail_store(),
        quarantine=quarantine,
        holders=holders,
        in_flight=in_flight,
    )
    sweep = SweepPorts(
        contents=await opened.content_sweep(),
        outlines=await opened.outlines(),
        holders=holders,
        quarantine=quarantine,
        in_flight=in_flight,
    )
    release = ReleasePorts(quarantine=quarantine, contents=contents, holders=holders, ledger=ledger)
    return ports, sweep, release


def _stale_holder_ports(config: Config, ports: CustodyPorts) -> StaleHolderPorts:
    return StaleHolderPorts(
        holders=ports.holders,
        quarantine=ports.quarantine,
        dead_letters=LogDeadLetters(config.bootstrap),
        ledger=ports.ledger,
        in_flight=ports.in_flight,
    )


async def _settled_submissions(
    config: Config, opened: Adapters, ports: CustodyPorts
) -> SettledSubmissions:
    return SettledSubmissions(
        ports=SettledSubmissionsPorts(
            submissions=await opened.submissions(),
            quarantine=ports.quarantine,
            holders=ports.holders,
            in_flight=ports.in_flight,
        ),
        housekeeping=Housekeeping(ledger=ports.ledger, what="submissions"),
        keep_ms=config.ledger_days * DAY_MS,
    )


def _deposit_holder_ports(config: Config, ports: CustodyPorts) -> DepositHolderPorts:
    return DepositHolderPorts(
        holders=ports.holders,
        store=ports.store,
        dead_letters=LogDeadLetters(config.bootstrap),
        in_flight=ports.in_flight,
    )


async def _release(config: Config, ports: ReleasePorts) -> None:
    """Publish releases whose command was cut short; connect a producer only if there are any."""
    if not await ports.quarantine.list_unpublished(limit=1):
        return
    settings = PublisherConfig(bootstrap=config.bootstrap, client_id=config.process)
    async with running(KafkaPublisher(settings)) as publisher:
        at_ms, worker = now_ms(), f"{CUSTODY}@{config.hostname}"
        count = await publish_pending(ports, publisher, now_ms=at_ms, worker=worker)
    if count:
        log.warning("published %d releases from quarantine that had been cut short", count)


def _repeated(packing: ContentPacking | None) -> AbstractAsyncContextManager[None]:
    if packing is None:
        return nullcontext()
    return repeating("packing", packing.turn, PACKING_INTERVAL_S, first_s=PACKING_INTERVAL_S)


def _segments(packing: ContentPacking | None) -> dict[tuple[str], int]:
    if packing is None:
        return {}
    counts = packing.counts()
    return {(event,): getattr(counts, event) for event in ("written", "compacted", "deleted")}


def _report(at_work: list[Parts]) -> HealthReport:
    def reasons() -> list[str]:
        return [] if at_work and at_work[0].feed.status.ready else ["waiting for the broker"]

    def status() -> dict[str, Any]:
        if not at_work:
            return {"lag": 0, "held": [], "detail": {}}
        feed, custodian, sweeper, _ = at_work[0]
        totals = custodian.totals
        detail: dict[str, Any] = {}
        if totals is not None:
            detail = {"open": totals.open_mails, "missing": totals.missing_mails}
        if sweeper.leases:
            detail["sweep"] = "; ".join(map(_paused_by, sweeper.leases))
        warnings = _warnings(feed, custodian)
        return {"lag": feed.status.lag, "held": [], "detail": detail, "warnings": warnings}

    return HealthReport(
        reasons=reasons,
        unhealthy=lambda: _unhealthy(at_work),
        status=status,
        metrics=lambda: collect(METRICS, at_work[0]) if at_work else (),
    )


def _paused_by(lease: Lease) -> str:
    return f"paused by {lease.purpose} since {rfc3339(lease.taken_at_ms)}"


def _unhealthy(at_work: list[Parts]) -> str | None:
    if not at_work or not at_work[0].feed.status.ready:
        return None
    still_s = time.monotonic() - at_work[0].feed.status.moved_s
    return f"the log was not read for {still_s:.0f} s" if still_s > STALL_LIMIT_S else None


def _warnings(feed: LedgerFeed, custodian: Custodian) -> list[str]:
    skipped = feed.status.skipped
    deleted = [f"{skipped} records left the log before custody read them"] if skipped else []
    return custodian.warnings() + deleted


def _oldest_open_s(custodian: Custodian) -> float | None:
    if custodian.totals is None:
        return None
    oldest_ms = custodian.totals.oldest_open_at_ms
    return 0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000)
