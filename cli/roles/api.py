"""The process `api`: REST, push and the page."""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any

from agents.background.housekeeping import Housekeeping
from api.app import make_app, start
from api.config import ApiConfig
from api.context import EDGE, AppContext
from api.http.authentication import SIGN_INS_KEPT_MS
from api.ports import ApiPorts
from cli.config.config import Config
from cli.roles.health_endpoint import HealthReport, Sample, serve_health
from cli.wiring.certificates import certificate_of, presenting
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters
from edge.login_limiter import ATTEMPTS_KEPT_MS
from mail.clock import now_ms
from mail.histogram import Histogram
from mail.lifecycle import repeating, running
from mail.ports import Attempts, Directory, LiveEvents, Publisher
from schemas.events.mailbox_commands import Deliver
from stack.state_folder import existing
from stores.sqlite.database_file import CommitTimes
from streams.config import PublisherConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.readers.event_tail import EventTail
from streams.topics.admin import wait_for_topics
from streams.topics.epochs import counter_of
from streams.topology import TOPIC_OF

MAILBOX_COMMANDS = TOPIC_OF[Deliver].name  # its epoch is that of the mailboxes' seqs
PRUNE_EVERY_S = 3600.0  # expired sessions are refused meanwhile
Serving = list[tuple[EventTail, AppContext, Housekeeping]]


async def run(config: Config, stop: asyncio.Event) -> None:
    """Serves once topics are there; /readyz follows the event tail."""
    serving: Serving = []
    commit_times = CommitTimes()
    health = await serve_health(existing(config.home).socket("api"), _report(serving), commit_times)
    try:
        async with adapters(config, commit_times) as opened:
            directory, attempts = await opened.directory(), await opened.attempts()
            housekeeping = Housekeeping(ledger=await opened.ledger(), what="sessions and sign-ins")
            prune = partial(_prune, directory, attempts, housekeeping)
            epochs = await wait_for_topics(TopicsConfig(bootstrap=config.bootstrap), directory)
            certificate = certificate_of(config)
            river = PublisherConfig(bootstrap=config.bootstrap, client_id="api", linger_ms=0)
            async with (
                running(KafkaPublisher(river)) as publisher,
                running(EventTail(config.bootstrap)) as tail,
                presenting(certificate),
                repeating("sessions", prune, PRUNE_EVERY_S),
            ):
                app = make_app(
                    _edge(config, epoch=counter_of(epochs[MAILBOX_COMMANDS])),
                    await _ports(opened, directory, attempts, publisher, tail),
                    lambda: _reasons(serving),
                )
                serving.append((tail, app[EDGE], housekeeping))
                runner, _ = await start(app, tls=certificate.context if config.https else None)
                await stop.wait()
                await runner.cleanup()
    finally:
        await health.cleanup()


async def _ports(
    opened: Adapters,
    directory: Directory,
    attempts: Attempts,
    publisher: Publisher,
    feed: LiveEvents,
) -> ApiPorts:
    return ApiPorts(
        store=await opened.mail_store(),
        contents=await opened.contents(),
        domains=directory,
        users=directory,
        sessions=directory,
        sign_ins=directory,
        attempts=attempts,
        search=await opened.search(),
        publisher=publisher,
        feed=feed,
        parser=opened.parser(),
    )


async def _prune(directory: Directory, attempts: Attempts, housekeeping: Housekeeping) -> None:
    """Attempts count minutes: lost early they lock nobody out, kept for long they fill a disk."""
    if await housekeeping.allowed():
        await directory.prune_sessions(now_ms())
        await directory.prune_sign_ins(before_ms=now_ms() - SIGN_INS_KEPT_MS)
    await attempts.prune(before_ms=now_ms() - ATTEMPTS_KEPT_MS)


def _edge(config: Config, *, epoch: int) -> ApiConfig:
    return ApiConfig(
        epoch=epoch,
        host=config.bind,
        port=config.ports.http,
        connections_max=config.http_connections_max,
        connections_per_peer_max=config.http_connections_per_peer_max,
        session_days=config.session_days,
        quota=config.quota,
        descriptors=config.http_fds,
        proxies=config.http_proxies,
        requests_per_minute=config.http_requests_per_minute,
        cors_origins=frozenset(config.cors_origins),
        proxy_header=config.http_proxy_header,
        secure_cookies=config.secure_cookies == "yes",
    )


def _reasons(serving: Serving) -> list[str]:
    return [] if serving and serving[0][0].ready else ["the event tail is not there yet"]


def _report(serving: Serving) -> HealthReport:
    def status() -> dict[str, Any]:
        sockets = serving[0][1].metrics.sockets if serving else 0
        warnings = serving[0][2].warnings() if serving else []
        return {"lag": 0, "held": [], "detail": {"sockets": sockets}, "warnings": warnings}

    return HealthReport(
        reasons=lambda: _reasons(serving),
        status=status,
        samples=lambda: _samples(serving[0][1]) if serving else (),
    )


def _samples(edge: AppContext) -> Iterable[Sample]:
    metrics = edge.metrics
    yield _answers(None, "", "", "")
    for (method, route, status), times in list(metrics.requests.items()):
        yield _answers(times, method, route, str(status))
    yield _took(None, "", "")
    for (method, route), took in list(metrics.times.items()):
        yield _took(took, method, route)
    yield Sample(
        name="postriver_http_connections", help="Open connections.", value=edge.connections.open,
        kind="gauge",
    )  # fmt: skip
    yield Sample(
        name="postriver_http_connections_refused", help="Connections and requests beyond a cap.",
        value=edge.connections.refused_total,
    )  # fmt: skip
    yield Sample(name="postriver_push_frames", help="Frames pushed.", value=metrics.frames)
    yield Sample(
        name="postriver_push_slow_sockets", help="Sockets closed for slowness.",
        value=metrics.sockets_closed_slow,
    )  # fmt: skip
    yield Sample(
        name="postriver_push_sockets", help="Open sockets.", value=metrics.sockets, kind="gauge"
    )


def _answers(times: int | None, method: str, route: str, status: str) -> Sample:
    labels = {"method": method, "route": route, "status": status}
    return Sample(name="postriver_http_requests", help="Answers.", value=times, labels=labels)


def _took(took: Histogram | None, method: str, route: str) -> Sample:
    return Sample(
        name="postriver_http_request_seconds", help="Time to an answer, sockets left out.",
        value=took, kind="histogram", labels={"method": method, "route": route},
    )  # fmt: skip
