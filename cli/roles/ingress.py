"""The process `ingress`: SMTP in, with its gate, publisher and stores."""

import asyncio
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from cli.config.config import Config
from cli.roles.health_endpoint import HealthReport, Sample, serve_health
from cli.roles.notifier import LOOK_EVERY_S, QUIET_AT_START_S, Notifier
from cli.wiring.certificates import certificate_of, presenting
from cli.wiring.profile import adapters
from mail.directory.quotas import StoredQuotaCheck
from mail.directory.recipient_resolver import NO_DOMAINS, DirectoryResolver
from mail.lifecycle import repeating, running
from mail.ports import Domains, Publisher, Resolver
from smtp.server.config import SmtpConfig
from smtp.server.listener import SmtpServer
from stack.state_folder import existing
from stack.supervision.client import read_status
from stores.sqlite.database_file import CommitTimes
from streams.config import PublisherConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.readers.backlog_gate import BacklogGate, GateConfig
from streams.readers.lag import LagMeter
from streams.readers.scan_backlog import KafkaScanLog
from streams.topics.admin import wait_for_topics

SCANS_EVERY_S = 1.0  # while mail waits
DOMAINS_EVERY_S = 2.0  # until there is one


async def run(config: Config, stop: asyncio.Event) -> None:
    """Listens once topics are there; ready when it listens."""
    listening: list[tuple[SmtpServer, BacklogGate]] = []
    home = existing(config.home)
    domains, commit_times = DomainsThere(), CommitTimes()
    health = await serve_health(home.socket("ingress"), _report(listening, domains), commit_times)
    try:
        async with adapters(config, commit_times) as opened:
            directory = await opened.directory()
            await wait_for_topics(TopicsConfig(bootstrap=config.bootstrap), directory)
            certificate = certificate_of(config)
            resolver = DirectoryResolver(directory, config.hostname)
            river = PublisherConfig(bootstrap=config.bootstrap, client_id="ingress")
            async with (
                running(KafkaPublisher(river)) as publisher,
                presenting(certificate),
                running(LagMeter(config.bootstrap)) as meter,
                running(BacklogGate(meter, _gate(config))) as gate,
                running(
                    SmtpServer(
                        _smtp(config),
                        resolver=resolver,
                        room=StoredQuotaCheck(await opened.mail_store(), config.quota),
                        publisher=publisher,
                        contents=await opened.contents(),
                        gate=gate,
                        tls=certificate.context,
                    )
                ) as server,
            ):
                listening.append((server, gate))
                notifier = _notifier(config, resolver, publisher)
                async with (
                    repeating("notices", notifier.look, LOOK_EVERY_S, QUIET_AT_START_S),
                    _sharing(server, meter),
                    repeating("domains", lambda: domains.look(directory), DOMAINS_EVERY_S),
                ):
                    await stop.wait()
    finally:
        await health.cleanup()


def _notifier(config: Config, resolver: Resolver, publisher: Publisher) -> Notifier:
    return Notifier(
        lambda: read_status(config.home),
        existing(config.home).log,
        hostname=config.hostname,
        resolver=resolver,
        publisher=publisher,
    )


def _sharing(server: SmtpServer, meter: LagMeter) -> AbstractAsyncContextManager[None]:
    """Within the block the server knows how far the scanners are behind."""
    server.shares.follow(KafkaScanLog(meter))
    return repeating("scan work", server.shares.look, SCANS_EVERY_S)


class DomainsThere:
    """Whether the directory has a domain: without one `ingress` listens and is not ready."""

    def __init__(self) -> None:
        self.seen = False

    async def look(self, directory: Domains) -> None:
        self.seen = self.seen or bool((await directory.list_domains(limit=1)).rows)


def _report(listening: list[tuple[SmtpServer, BacklogGate]], domains: DomainsThere) -> HealthReport:
    def reasons() -> list[str]:
        if not listening:
            return ["waiting for the broker"]
        return [] if domains.seen else [NO_DOMAINS]

    def status() -> dict[str, Any]:
        closed = listening[0][1].closed() if listening else None
        return {"lag": 0, "held": [], "detail": {"gate": closed}}

    return HealthReport(
        reasons=reasons,
        status=status,
        samples=lambda: _samples(*listening[0]) if listening else (),
    )


def _gate(config: Config) -> GateConfig:
    return GateConfig(folder=config.home, backlog_max_mails=config.backlog_max_mails)


def _smtp(config: Config) -> SmtpConfig:
    return SmtpConfig(
        hostname=config.hostname,
        host=config.bind,
        port=config.ports.smtp,
        descriptors=config.smtp_fds,
        proxies=config.smtp_proxies,
        trusted=config.smtp_trusted,
        message_max_bytes=config.message_max_bytes,
        recipients_max=config.recipients_max,
        connections_max=config.connections_max,
        connections_per_peer_max=config.connections_per_peer_max,
    )


def _samples(server: SmtpServer, gate: BacklogGate) -> Iterable[Sample]:
    stats = server.stats
    yield _count("accepted_mails", "Mails that got 250.", stats.accepted_total)
    yield _count("accepted_bytes", "Bytes of mails that got 250.", stats.accepted_bytes_total)
    yield _count("connections", "Connections taken.", server.connections.opened_total)
    yield _count(
        "bad_proxy_headers",
        "Connections of trusted proxies closed for want of a PROXY header.",
        stats.bad_proxy_headers_total,
    )
    yield _count("refused_connections", "Connections over a cap.", server.connections.refused_total)
    yield _count("tls_connections", "Connections that went to TLS.", stats.tls_total)
    yield _count("refusals", "Refusals by reply.", None, reply="")
    for reply, times in list(stats.refused_total.items()):
        yield _count("refusals", "Refusals by reply.", times, reply=reply)
    yield Sample(
        name="postriver_smtp_accept_seconds", help="From DATA to the 250.", kind="histogram",
        value=stats.accept_times,
    )  # fmt: skip
    yield _gauge("open_connections", "Connections open now.", server.connections.open)
    yield _gauge("held_bytes", "Memory that mails under way hold.", stats.held_bytes)
    yield _gauge(
        "scan_wait_seconds", "For how long the scanners have work.", server.shares.work.waiting_s
    )
    yield _gauge("closed", "1 while new mail is told to come later.", float(bool(gate.closed())))


def _count(name: str, text: str, value: float | None, **labels: str) -> Sample:
    return Sample(name=f"postriver_smtp_{name}", help=text, value=value, labels=labels)


def _gauge(name: str, text: str, value: float) -> Sample:
    return Sample(name=f"postriver_smtp_{name}", help=text, value=value, kind="gauge")
