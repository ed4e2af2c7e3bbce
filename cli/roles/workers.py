"""Roles intake, scan, mailbox and index: a Faust worker, its publisher and its log trimmer."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import Metric as MetricFamily

from agents.background.index_backfill import refill
from agents.background.submission_timer import SubmissionTimer
from agents.delivery_batch import deliver_together
from agents.index import index
from agents.mailbox import mailbox
from agents.mailbox_parking import journalled
from agents.ports import (
    IndexPorts,
    IntakePorts,
    MailboxPorts,
    ScanPorts,
    SubmissionPorts,
    SubmittedPorts,
)
from agents.reject import reject
from agents.route import route
from agents.scan import scan
from agents.submission import submission
from agents.suspended_mailboxes import SuspendedMailboxes
from agents.validate import parsed_apart, validate
from agents.validate_submitted import validate_submitted
from cli.config.config import Config
from cli.roles.health_endpoint import HealthReport, serve_health
from cli.roles.metrics import collect
from cli.roles.worker_metrics import METRICS, Measured
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters
from cli.wiring.sending import outbound
from mail.clock import DAY_MS
from mail.clock_guard import ClockGuard
from mail.directory.quotas import StoredQuotaCheck
from mail.directory.recipient_resolver import DirectoryResolver
from mail.lifecycle import repeating, running
from mail.ports import Publisher
from mail.sending.sender_check import SenderCheck
from mail.spam_policy import SpamPolicy, outgoing_policy
from stack.state_folder import existing
from streams.config import PublisherConfig, StreamsConfig, TopicsConfig
from streams.dead_letters.set_aside import requests_folder
from streams.publisher import KafkaPublisher
from streams.readers.backlog_gate import GateConfig, low_disk
from streams.topics.admin import wait_for_topics
from streams.topics.retention import LogTrimmer, TrimConfig
from streams.topology import SUBMISSIONS, stages_of
from streams.worker.assignment_lease import AssignmentLease
from streams.worker.mailbox_table import MailboxStatesTable
from streams.worker.stage_handler import StageHandler, bind
from streams.worker.status import RoleStatus
from streams.worker.worker import HandlersOf, Worker

REFILL_INTERVAL_S = 600.0  # if every index is filled, a refill only reads sixteen files
TIMER_INTERVAL_S = 0.5  # a held submission is sent at most so much later than it is due
REFRESH_INTERVAL_S = 60.0  # of warnings; mailboxes suspended by this process are known at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a role adds to /status and /metrics."""

    warnings: Callable[[], list[str]] = list
    detail: Callable[[], dict[str, Any]] = dict
    metrics: Callable[[], Iterable[MetricFamily]] = tuple


RoleJob = Callable[[Publisher, RoleStatus], AbstractAsyncContextManager[None]]


def intake_handlers(ports: IntakePorts) -> dict[str, StageHandler]:
    return {
        "validate": bind(validate, ports, instead_of_parking=parsed_apart),
        "route": bind(route, ports),
    }


def sending_handlers(ports: SubmissionPorts, submitted: SubmittedPorts) -> dict[str, StageHandler]:
    return {
        "submission": bind(submission, ports),
        "validate_submitted": bind(validate_submitted, submitted),
        "reject": bind(reject, ports),
    }


def scan_handlers(ports: ScanPorts) -> dict[str, StageHandler]:
    return {"scan": bind(scan, ports)}


def mailbox_handlers(ports: MailboxPorts) -> dict[str, StageHandler]:
    return {
        "mailbox": bind(mailbox, ports, instead_of_parking=journalled, together=deliver_together)
    }


def index_handlers(ports: IndexPorts) -> dict[str, StageHandler]:
    return {"index": bind(index, ports)}


async def run_intake(config: Config, stop: asyncio.Event) -> None:
    async with adapters(config) as opened:
        directory, contents = await opened.directory(), await opened.contents()
        ports = IntakePorts(
            contents=contents,
            outlines=await opened.outlines(),
            holders=await opened.holders(),
            quarantine=await opened.quarantine(),
            outbound=outbound(config, contents, directory),
            parser=opened.parser(),
        )
        sending = SubmissionPorts(
            submissions=await opened.submissions(),
            contents=ports.contents,
            holders=ports.holders,
            hostname=config.hostname,
            parser=ports.parser,
        )
        submitted = SubmittedPorts(
            contents=ports.contents,
            outlines=ports.outlines,
            resolver=DirectoryResolver(directory, config.hostname),
            senders=SenderCheck(directory),
            room=StoredQuotaCheck(await opened.mail_store(), config.quota),
            relay=config.relay_setting,
            parser=ports.parser,
            budget=ports.budget,
        )

        def timer(publisher: Publisher, status: RoleStatus) -> AbstractAsyncContextManager[None]:
            job = SubmissionTimer(
                sending.submissions, publisher, lambda: status.partitions_of(SUBMISSIONS)
            )
            return repeating("submission timer", job.turn, TIMER_INTERVAL_S)

        def handlers(_: MailboxStatesTable | None) -> dict[str, StageHandler]:
            return intake_handlers(ports) | sending_handlers(sending, submitted)

        await work("intake", config, stop, opened, handlers, job=timer)


async def run_scan(config: Config, stop: asyncio.Event) -> None:
    async with adapters(config) as opened:
        ports = ScanPorts(
            contents=await opened.contents(),
            virus=opened.virus(),
            spam=opened.spam(),
            parser=opened.parser(),
            quarantine=await opened.quarantine(),
            holders=await opened.holders(),
            policy=SpamPolicy(
                junk_score=config.junk_score,
                quarantine_score=config.quarantine_score,
                deliver_encrypted=config.encrypted == "deliver",
            ),
            outgoing_policy=outgoing_policy(
                config.outgoing_spam_score, deliver_encrypted=config.encrypted == "deliver"
            ),
        )
        await work("scan", config, stop, opened, lambda _: scan_handlers(ports))


async def run_mailbox(config: Config, stop: asyncio.Event) -> None:
    lease = AssignmentLease(_streams(config, "mailbox").session_timeout_s)
    async with adapters(config, check=lease.check) as opened:
        store, holders = await opened.mail_store(), await opened.holders()
        contents, parser = await opened.contents(), opened.parser()
        clock = ClockGuard()
        suspended = SuspendedMailboxes(await opened.directory())

        def handlers(states: MailboxStatesTable | None) -> dict[str, StageHandler]:
            assert states is not None
            ports = MailboxPorts(
                store=store,
                states=states,
                holders=holders,
                contents=contents,
                suspended=suspended,
                parser=parser,
                feed_ms=config.feed_days * DAY_MS,
                clock=clock,
            )
            return mailbox_handlers(ports)

        def warnings() -> list[str]:
            reason = clock.moved()
            clock_warning = [f"journals are not folded: {reason}"] if reason else []
            return suspended.warnings() + clock_warning

        async with repeating("suspended mailboxes", suspended.refresh, REFRESH_INTERVAL_S):
            shown = Shown(warnings=warnings)
            await work("mailbox", config, stop, opened, handlers, shown=shown, lease=lease)


async def run_index(config: Config, stop: asyncio.Event) -> None:
    async with adapters(config) as opened:
        ports = IndexPorts(
            store=await opened.mail_store(),
            contents=await opened.contents(),
            search=await opened.search(),
            parser=opened.parser(),
        )
        async with repeating("refill", lambda: refill(ports), REFILL_INTERVAL_S):
            await work("index", config, stop, opened, lambda _: index_handlers(ports))


async def work(  # noqa: PLR0913  (called once, by the role)
    role: str,
    config: Config,
    stop: asyncio.Event,
    opened: Adapters,
    handlers: HandlersOf,
    *,
    shown: Shown = Shown(),
    job: RoleJob = lambda *_: nullcontext(),
    lease: AssignmentLease | None = None,
) -> None:
    """Serve health, wait for topics, then run the role's worker until `stop`; its Fatal is raised.

    `shown`: what is added to the status. `job`: runs as long as the worker, which renews `lease`.
    """
    at_work: list[Worker] = []
    path = existing(config.home).socket(config.process)
    health = await serve_health(path, _report(role, at_work, shown), opened.commit_times)
    directory = await opened.directory()
    epochs = await wait_for_topics(TopicsConfig(bootstrap=config.bootstrap), directory)
    try:
        async with (
            running(KafkaPublisher(_publishing(config))) as publisher,
            running(LogTrimmer.of_role(config.bootstrap, role, config=_trim(config))),
        ):
            worker = Worker(
                role,
                handlers,
                stages=stages_of(role),
                config=_streams(config, role),
                publisher=publisher,
                epochs=epochs,
                with_mailbox_states=role == "mailbox",
                lease=lease,
            )
            at_work.append(worker)
            async with job(publisher, worker.status):
                await worker.run(stop)
    finally:
        await health.cleanup()


def _publishing(config: Config) -> PublisherConfig:
    return PublisherConfig(bootstrap=config.bootstrap, client_id=config.process)


def _trim(config: Config) -> TrimConfig:
    gate = GateConfig(folder=config.home)
    return TrimConfig(squeezed=lambda: low_disk(gate) is not None)


def _streams(config: Config, role: str) -> StreamsConfig:
    """Tables belong to one process; attempt notes follow their partition to another process."""
    folder = config.home / "engines" / "faust"
    return StreamsConfig(
        bootstrap=config.bootstrap,
        worker=f"{config.process}@{config.hostname}",
        data_folder=folder / config.process,
        notes_folder=folder / role / "tries",
        requests_folder=requests_folder(config.home),
    )


def _report(role: str, at_work: list[Worker], shown: Shown) -> HealthReport:
    def reasons() -> list[str]:
        if not at_work:
            return ["waiting for the broker"]
        return [] if at_work[0].status.ready else ["waiting for partitions"]

    def status() -> dict[str, Any]:
        if not at_work:
            return {"lag": 0, "held": [], "detail": {}}
        worker = at_work[0].status
        return {
            "lag": worker.lag,
            "held": [event.plain() for event in worker.held],
            "detail": {"partitions": worker.partitions, **shown.detail()},
            "warnings": shown.warnings(),
        }

    return HealthReport(
        reasons=reasons,
        unhealthy=lambda: at_work[0].unhealthy() if at_work else None,
        status=status,
        metrics=lambda: (
            (*collect(METRICS, Measured(stages_of(role), at_work[0].status)), *shown.metrics())
            if at_work
            else ()
        ),
    )
