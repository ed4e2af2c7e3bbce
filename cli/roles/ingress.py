"""Role ingress: the SMTP server, its backlog gate, and the notices to operators."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, NamedTuple

from cli.config.config import Config
from cli.roles.health_endpoint import HealthReport, serve_health
from cli.roles.metrics import GAUGE, Metric, collect
from cli.roles.notifier import LOOK_EVERY_S, QUIET_AT_START_S, Notifier
from cli.roles.smtp_metrics import smtp_metrics
from cli.wiring.certificates import certificate_of, presenting
from cli.wiring.edges import gate_config
from cli.wiring.profile import adapters
from cli.wiring.sending import bounce_addresses
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
from streams.readers.backlog_gate import BacklogGate
from streams.readers.lag import LagMeter
from streams.readers.scan_backlog import KafkaScanLog
from streams.topics.admin import wait_for_topics

SCANS_EVERY_S = 1.0  # while mail waits for the scanners
DOMAINS_EVERY_S = 2.0


class IngressParts(NamedTuple):
    """The parts of the role once the server listens."""

    server: SmtpServer
    gate: BacklogGate


METRICS: tuple[Metric[IngressParts], ...] = (
    *smtp_metrics("smtp"),
    Metric("postriver_smtp_scan_wait_seconds", GAUGE,
           "Estimated time until the scanners have worked off their backlog.",
           lambda role: role.server.shares.work.waiting_s),
    Metric("postriver_smtp_closed", GAUGE, "1 while new mail is refused with 452.",
           lambda role: float(bool(role.gate.closed()))),
)  # fmt: skip


async def run(config: Config, stop: asyncio.Event) -> None:
    """Listen once the topics exist, until `stop`. Ready when it listens and there is a domain."""
    listening: list[IngressParts] = []
    path = existing(config.home).socket(config.process)
    domains, commit_times = DomainCheck(), CommitTimes()
    health = await serve_health(path, _report(listening, domains), commit_times)
    try:
        async with adapters(config, commit_times) as opened:
            directory = await opened.directory()
            await wait_for_topics(TopicsConfig(bootstrap=config.bootstrap), directory)
            certificate = certificate_of(config)
            bounces = bounce_addresses(config, await opened.submissions(), directory)
            resolver = DirectoryResolver(directory, config.hostname, bounces=bounces)
            settings = PublisherConfig(bootstrap=config.bootstrap, client_id=config.process)
            async with (
                running(KafkaPublisher(settings)) as publisher,
                presenting(certificate),
                running(LagMeter(config.bootstrap)) as meter,
                running(BacklogGate(meter, gate_config(config))) as gate,
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
                listening.append(IngressParts(server, gate))
                async with (
                    _notices(config, resolver, publisher),
                    _measuring_scans(server, meter),
                    repeating("domains", lambda: domains.look(directory), DOMAINS_EVERY_S),
                ):
                    await stop.wait()
    finally:
        await health.cleanup()


def _notices(
    config: Config, resolver: Resolver, publisher: Publisher
) -> AbstractAsyncContextManager[None]:
    """Within the block operators get notices; of several ingress processes the first sends them."""
    if config.number > 1:
        return nullcontext()
    notifier = Notifier(
        lambda: read_status(config.home),
        existing(config.home).log,
        hostname=config.hostname,
        resolver=resolver,
        publisher=publisher,
    )
    return repeating("notices", notifier.look, LOOK_EVERY_S, QUIET_AT_START_S)


def _measuring_scans(server: SmtpServer, meter: LagMeter) -> AbstractAsyncContextManager[None]:
    """Within the block, the server's shares follow the backlog of the scanners."""
    server.shares.follow(KafkaScanLog(meter))
    return repeating("scan work", server.shares.refresh, SCANS_EVERY_S)


class DomainCheck:
    """Whether the directory has a domain. Without a domain the role listens and is not ready."""

    def __init__(self) -> None:
        self.has_domain = False

    async def look(self, directory: Domains) -> None:
        self.has_domain = self.has_domain or bool((await directory.list_domains(limit=1)).rows)


def _report(listening: list[IngressParts], domains: DomainCheck) -> HealthReport:
    def reasons() -> list[str]:
        if not listening:
            return ["waiting for the broker"]
        return [] if domains.has_domain else [NO_DOMAINS]

    def status() -> dict[str, Any]:
        closed = listening[0].gate.closed() if listening else None
        return {"lag": 0, "held": [], "detail": {"gate": closed}}

    return HealthReport(
        reasons=reasons,
        status=status,
        metrics=lambda: collect(METRICS, listening[0]) if listening else (),
    )


def _smtp(config: Config) -> SmtpConfig:
    return SmtpConfig(
        hostname=config.hostname,
        host=config.bind,
        port=config.ports.smtp,
        reuse_port=config.ingress_processes > 1,
        worker=config.process,
        descriptors=config.smtp_fds,
        proxies=config.smtp_proxies,
        trusted=config.smtp_trusted,
        message_max_bytes=config.message_max_bytes,
        recipients_max=config.recipients_max,
        connections_max=config.connections_max,
        connections_per_peer_max=config.connections_per_peer_max,
    )
