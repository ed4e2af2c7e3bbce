"""Role api: the REST API, push over WebSocket and the web page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from agents.background.housekeeping import Housekeeping
from api.app import make_app, start
from api.config import ApiConfig
from api.context import CONTEXT, AppContext
from api.http.authentication import SIGN_INS_KEPT_MS
from api.http.image_proxy import ImageProxy
from api.http.one_click import OneClickClient
from api.ports import ApiPorts
from cli.config.config import Config
from cli.roles.health_endpoint import HealthReport, serve_health
from cli.roles.metrics import COUNTER, GAUGE, HISTOGRAM, Metric, collect
from cli.wiring.admin import admin_ports
from cli.wiring.certificates import certificate_of, presenting
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters
from edge.deposits.uploader import UploadConfig, Uploader
from edge.sign_in.login_limiter import ATTEMPTS_KEPT_MS
from mail.clock import DAY_MS, now_ms
from mail.lifecycle import repeating, running
from mail.ports import Attempts, Directory, IntakeGate, Publisher
from schemas.events.mailbox_commands import Deliver
from stack.state_folder import existing
from stores.sqlite.database_file import CommitTimes
from streams.config import PublisherConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.readers.backlog_gate import DiskGate, GateConfig
from streams.readers.event_tail import EventTail
from streams.topics.admin import wait_for_topics
from streams.topics.epochs import counter_of
from streams.topology import TOPIC_OF

MAILBOX_COMMANDS = TOPIC_OF[Deliver].name  # its epoch is the epoch of the mailboxes' seqs
HOUR_MS = 3_600_000
ACTS_KEPT_MS = 365 * DAY_MS
PRUNE_EVERY_S = 3600.0  # an expired session is refused before it is deleted
ApiParts = list[tuple[EventTail, AppContext, Housekeeping]]  # empty until the role serves
METRICS: tuple[Metric[AppContext], ...] = (
    Metric("postriver_http_requests", COUNTER, "Responses.",
           lambda app: app.metrics.requests, ("method", "route", "status")),
    Metric("postriver_http_request_seconds", HISTOGRAM,
           "Time from request to response, without WebSockets.",
           lambda app: app.metrics.times, ("method", "route")),
    Metric("postriver_http_connections", GAUGE, "Open connections.",
           lambda app: app.connections.open),
    Metric("postriver_http_connections_refused", COUNTER, "Connections and requests over a limit.",
           lambda app: app.connections.refused_total),
    Metric("postriver_push_frames", COUNTER, "Push frames sent.", lambda app: app.metrics.frames),
    Metric("postriver_push_slow_sockets", COUNTER, "WebSockets closed because they were slow.",
           lambda app: app.metrics.sockets_closed_slow),
    Metric("postriver_push_sockets", GAUGE, "Open WebSockets.", lambda app: app.metrics.sockets),
)  # fmt: skip


async def run(config: Config, stop: asyncio.Event) -> None:
    """Serve once the topics exist, until `stop`. Ready while the event tail follows the log."""
    serving: ApiParts = []
    commit_times = CommitTimes()
    health = await serve_health(
        existing(config.home).socket(config.process), _report(serving), commit_times
    )
    try:
        async with adapters(config, commit_times) as opened:
            directory, attempts = await opened.directory(), await opened.attempts()
            housekeeping = Housekeeping(
                ledger=await opened.ledger(), what="sessions, sign-ins and uploads"
            )
            epochs = await wait_for_topics(TopicsConfig(bootstrap=config.bootstrap), directory)
            certificate = certificate_of(config)
            async with _links(config) as links, presenting(certificate):
                app = make_app(
                    _edge(config, epoch=counter_of(epochs[MAILBOX_COMMANDS])),
                    await _ports(config, opened, directory, attempts, links),
                    lambda: _reasons(serving),
                )
                context = app[CONTEXT]
                serving.append((links.feed, context, housekeeping))
                runner, _ = await start(app, tls=certificate.context if config.https else None)
                prune = partial(_prune, directory, attempts, context.uploader, housekeeping)
                async with repeating("expired rows", prune, PRUNE_EVERY_S):
                    await stop.wait()
                await runner.cleanup()
    finally:
        await health.cleanup()


@dataclass(frozen=True, slots=True)
class Links:
    """The parts of the role that run while it serves."""

    publisher: Publisher
    feed: EventTail
    gate: IntakeGate
    one_click: OneClickClient | None
    images: ImageProxy | None


@asynccontextmanager
async def _links(config: Config) -> AsyncIterator[Links]:
    settings = PublisherConfig(bootstrap=config.bootstrap, client_id=config.process, linger_ms=0)
    async with (
        running(KafkaPublisher(settings)) as publisher,
        running(EventTail(config.bootstrap)) as tail,
        running(DiskGate(GateConfig(folder=config.home))) as gate,
        OneClickClient(config.outbound) as one_click,
        ImageProxy(config.outbound) as images,
    ):
        yield Links(
            publisher,
            tail,
            gate,
            one_click=None if config.relay == "off" else one_click,
            images=images if config.image_proxy else None,
        )


async def _ports(
    config: Config,
    opened: Adapters,
    directory: Directory,
    attempts: Attempts,
    links: Links,
) -> ApiPorts:
    return ApiPorts(
        store=await opened.mail_store(),
        contents=await opened.contents(),
        outlines=await opened.outlines(),
        holders=await opened.holders(),
        uploads=await opened.uploads(),
        submissions=await opened.submissions(),
        virus=opened.virus(),
        domains=directory,
        users=directory,
        settings=directory,
        addresses=directory,
        app_passwords=directory,
        sessions=directory,
        sign_ins=directory,
        attempts=attempts,
        make_tokens=opened.tokens_for_requests(),
        search=await opened.search(),
        publisher=links.publisher,
        feed=links.feed,
        gate=links.gate,
        one_click=links.one_click,
        images=links.images,
        parser=opened.parser(),
        deposit_parser=opened.parser(),
        admin=await admin_ports(config, opened, directory) if config.admin == "on" else None,
    )


async def _prune(
    directory: Directory, attempts: Attempts, uploader: Uploader, housekeeping: Housekeeping
) -> None:
    """Delete expired rows; sessions, sign-ins and uploads only while the clock is trusted.

    Failed sign-ins are deleted in any case: they count for minutes only, and would fill the disk.
    """
    if await housekeeping.allowed():
        await directory.prune_sessions(now_ms())
        await uploader.remove_expired()
        await directory.prune_sign_ins(before_ms=now_ms() - SIGN_INS_KEPT_MS)
        await directory.prune_acts(before_ms=now_ms() - ACTS_KEPT_MS)
    await attempts.prune(before_ms=now_ms() - ATTEMPTS_KEPT_MS)


def _edge(config: Config, *, epoch: int) -> ApiConfig:
    return ApiConfig(
        epoch=epoch,
        host=config.bind,
        port=config.ports.http,
        reuse_port=config.api_processes > 1,
        connections_max=config.http_connections_max,
        connections_per_peer_max=config.http_connections_per_peer_max,
        session_days=config.session_days,
        password_cache_s=config.password_cache_s,
        quota=config.quota,
        uploads=UploadConfig(
            size_max_bytes=config.message_max_bytes, keep_ms=config.upload_hours * HOUR_MS
        ),
        worker=f"{config.process}@{config.hostname}",
        message_max_bytes=config.message_max_bytes,
        sending_limits=config.sending_limits,
        undo_s=config.undo_s,
        admin=config.admin == "on",
        webmail_libraries=config.tools / "web",
        deliver_encrypted=config.encrypted == "deliver",
        descriptors=config.http_fds,
        proxies=config.http_proxies,
        requests_per_minute=config.http_requests_per_minute,
        cors_origins=frozenset(config.cors_origins),
        proxy_header=config.http_proxy_header,
        secure_cookies=config.secure_cookies == "yes",
    )


def _reasons(serving: ApiParts) -> list[str]:
    return [] if serving and serving[0][0].ready else ["the event tail does not follow the log yet"]


def _report(serving: ApiParts) -> HealthReport:
    def status() -> dict[str, Any]:
        sockets = serving[0][1].metrics.sockets if serving else 0
        warnings: list[str] = []
        if serving:
            _, context, housekeeping = serving[0]
            warnings = housekeeping.warnings() + context.sending_limiter.warnings()
        return {"lag": 0, "held": [], "detail": {"sockets": sockets}, "warnings": warnings}

    return HealthReport(
        reasons=lambda: _reasons(serving),
        status=status,
        metrics=lambda: collect(METRICS, serving[0][1]) if serving else (),
    )
