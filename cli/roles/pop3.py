"""Role pop3: the POP3 server."""

import asyncio
from typing import Any

from cli.config.config import Config
from cli.roles.health_endpoint import HealthReport, serve_health
from cli.roles.metrics import COUNTER, GAUGE, Metric, collect
from cli.wiring.certificates import certificate_of, presenting
from cli.wiring.edges import authenticator_of
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters
from mail.lifecycle import running
from mail.ports import LiveEvents, Publisher
from pop3.config import Pop3Config
from pop3.listener import Pop3Server
from pop3.ports import Pop3Ports
from stack.state_folder import existing
from stores.sqlite.database_file import CommitTimes
from streams.config import PublisherConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.readers.event_tail import EventTail
from streams.topics.admin import wait_for_topics

Pop3Parts = list[tuple[EventTail, Pop3Server]]  # empty until the role serves
METRICS: tuple[Metric[Pop3Server], ...] = (
    Metric("postriver_pop3_connections", COUNTER, "Connections accepted.",
           lambda server: server.connections.opened_total),
    Metric("postriver_pop3_open_connections", GAUGE, "Open connections.",
           lambda server: server.connections.open),
    Metric("postriver_pop3_refused_connections", COUNTER, "Connections over a limit.",
           lambda server: server.connections.refused_total),
    Metric("postriver_pop3_bad_proxy_headers", COUNTER,
           "Connections of trusted proxies closed because the PROXY header was missing or bad.",
           lambda server: server.stats.bad_proxy_headers_total),
    Metric("postriver_pop3_tls_connections", COUNTER, "Connections with TLS, on either port.",
           lambda server: server.stats.tls_total),
    Metric("postriver_pop3_sign_ins", COUNTER, "Sign-ins that opened a maildrop.",
           lambda server: server.stats.sign_ins_total),
    Metric("postriver_pop3_refusals", COUNTER, "Replies -ERR by response code, empty without.",
           lambda server: {(code,): n for code, n in server.stats.refused_total.items()},
           ("code",)),
    Metric("postriver_pop3_sent_messages", COUNTER, "Messages sent by RETR and TOP.",
           lambda server: server.stats.sent_messages_total),
    Metric("postriver_pop3_sent_bytes", COUNTER, "Bytes of messages sent by RETR and TOP.",
           lambda server: server.stats.sent_bytes_total),
    Metric("postriver_pop3_deleted_messages", COUNTER, "Messages removed by QUIT.",
           lambda server: server.stats.deleted_messages_total),
    Metric("postriver_pop3_maildrops", GAUGE, "Maildrops open.",
           lambda server: server.stats.maildrops),
)  # fmt: skip


async def run(config: Config, stop: asyncio.Event) -> None:
    """Listen once the topics exist, until `stop`. Ready while the event tail follows the log."""
    serving: Pop3Parts = []
    path, commit_times = existing(config.home).socket(config.process), CommitTimes()
    health = await serve_health(path, _report(serving), commit_times)
    try:
        async with adapters(config, commit_times) as opened:
            directory = await opened.directory()
            sign_in = await authenticator_of(config, opened, directory)
            await wait_for_topics(TopicsConfig(bootstrap=config.bootstrap), directory)
            certificate = certificate_of(config)
            settings = PublisherConfig(
                bootstrap=config.bootstrap, client_id=config.process, linger_ms=0
            )
            async with (
                running(KafkaPublisher(settings)) as publisher,
                running(EventTail(config.bootstrap)) as tail,
                presenting(certificate),
                running(
                    Pop3Server(
                        _pop3(config),
                        ports=await _ports(opened, publisher, tail),
                        authenticator=sign_in,
                        tls=certificate.context,
                    )
                ) as server,
            ):
                serving.append((tail, server))
                await stop.wait()
            sign_in.close()
    finally:
        await health.cleanup()


async def _ports(opened: Adapters, publisher: Publisher, feed: LiveEvents) -> Pop3Ports:
    return Pop3Ports(
        store=await opened.mail_store(),
        contents=await opened.contents(),
        publisher=publisher,
        feed=feed,
        attempts=await opened.attempts(),
    )


def _pop3(config: Config) -> Pop3Config:
    return Pop3Config(
        hostname=config.hostname,
        host=config.bind,
        port=config.ports.pop3,
        tls_port=config.ports.pop3s,
        descriptors=config.pop3_fds,
        tls_descriptors=config.pop3s_fds,
        reuse_port=config.pop3_processes > 1,
        proxies=config.pop3_proxies,
        in_clear=config.pop3_in_clear,
        connections_max=config.pop3_connections_max,
        connections_per_peer_max=config.pop3_connections_per_peer_max,
    )


def _report(serving: Pop3Parts) -> HealthReport:
    def reasons() -> list[str]:
        ready = serving and serving[0][0].ready
        return [] if ready else ["the event tail does not follow the log yet"]

    def status() -> dict[str, Any]:
        maildrops = serving[0][1].stats.maildrops if serving else 0
        return {"lag": 0, "held": [], "detail": {"maildrops": maildrops}}

    return HealthReport(
        reasons=reasons,
        status=status,
        metrics=lambda: collect(METRICS, serving[0][1]) if serving else (),
    )
