"""Role msa: the submission server (RFC 6409), for mail that users send."""

import asyncio
from typing import Any, NamedTuple, cast

from cli.config.config import Config
from cli.roles.health_endpoint import HealthReport, serve_health
from cli.roles.metrics import COUNTER, Metric, collect
from cli.roles.smtp_metrics import smtp_metrics
from cli.wiring.certificates import certificate_of, presenting
from cli.wiring.edges import authenticator_of, gate_config
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters
from edge.deposits.room import OwnerRoom
from edge.sending_limiter import SendingLimiter
from edge.sign_in.authenticator import Authenticator
from mail.directory.quotas import StoredQuotaCheck
from mail.directory.recipient_resolver import DirectoryResolver
from mail.lifecycle import running
from mail.ports import Directory, IntakeGate, Publisher
from mail.sending.own_limits import OwnLimits
from mail.sending.relay_setting import RelayMode, RelaySetting
from mail.sending.sender_check import SenderCheck
from smtp.submission.config import SubmissionConfig
from smtp.submission.listener import SubmissionServer
from smtp.submission.ports import MsaPorts
from stack.state_folder import existing
from stores.sqlite.database_file import CommitTimes
from streams.config import PublisherConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.readers.backlog_gate import BacklogGate
from streams.readers.lag import LagMeter
from streams.topics.admin import wait_for_topics


class MsaParts(NamedTuple):
    """The parts of the role once the server listens."""

    server: SubmissionServer
    gate: BacklogGate
    sending: SendingLimiter


METRICS: tuple[Metric[MsaParts], ...] = (
    *smtp_metrics("submission"),
    Metric("postriver_submission_sign_ins", COUNTER, "Sign-ins.",
           lambda role: role.server.stats.sign_ins_total),
)  # fmt: skip


async def run(config: Config, stop: asyncio.Event) -> None:
    """Listen once the topics exist, until `stop`. Ready when it listens."""
    listening: list[MsaParts] = []
    path, commit_times = existing(config.home).socket(config.process), CommitTimes()
    health = await serve_health(path, _report(listening), commit_times)
    try:
        async with adapters(config, commit_times) as opened:
            directory = await opened.directory()
            sign_in = await authenticator_of(config, opened, directory)
            sending = SendingLimiter(
                await opened.submissions(), OwnLimits(directory, config.sending_limits)
            )
            await wait_for_topics(TopicsConfig(bootstrap=config.bootstrap), directory)
            certificate = certificate_of(config)
            async with (
                running(KafkaPublisher(_publisher(config))) as publisher,
                presenting(certificate),
                running(LagMeter(config.bootstrap)) as meter,
                running(BacklogGate(meter, gate_config(config))) as gate,
                running(
                    SubmissionServer(
                        _submission(config),
                        ports=await _ports(
                            config, opened, directory, sign_in, sending, publisher, gate
                        ),
                        tls=certificate.context,
                    )
                ) as server,
            ):
                listening.append(MsaParts(server, gate, sending))
                await stop.wait()
            sign_in.close()
    finally:
        await health.cleanup()


async def _ports(
    config: Config,
    opened: Adapters,
    directory: Directory,
    authenticator: Authenticator,
    sending: SendingLimiter,
    publisher: Publisher,
    gate: IntakeGate,
) -> MsaPorts:
    store = await opened.mail_store()
    return MsaPorts(
        authenticator=authenticator,
        resolver=DirectoryResolver(directory, config.hostname),
        room=StoredQuotaCheck(store, config.quota),
        own_room=OwnerRoom(store, directory, config.quota, await opened.uploads(), gate),
        senders=SenderCheck(directory),
        sending=sending,
        relay=RelaySetting(mode=cast("RelayMode", config.relay)),  # without the password
        publisher=publisher,
        contents=await opened.contents(),
        gate=gate,
    )


def _publisher(config: Config) -> PublisherConfig:
    return PublisherConfig(bootstrap=config.bootstrap, client_id=config.process, linger_ms=0)


def _submission(config: Config) -> SubmissionConfig:
    return SubmissionConfig(
        hostname=config.hostname,
        host=config.bind,
        port=config.ports.submission,
        tls_port=config.ports.submissions,
        descriptors=config.submission_fds,
        tls_descriptors=config.submissions_fds,
        reuse_port=config.msa_processes > 1,
        worker=config.process,
        proxies=config.submission_proxies,
        message_max_bytes=config.message_max_bytes,
        recipients_max=config.recipients_max,
        connections_max=config.submission_connections_max,
        connections_per_peer_max=config.submission_connections_per_peer_max,
    )


def _report(listening: list[MsaParts]) -> HealthReport:
    def status() -> dict[str, Any]:
        closed = listening[0].gate.closed() if listening else None
        warnings = listening[0].sending.warnings() if listening else []
        return {"lag": 0, "held": [], "detail": {"gate": closed}, "warnings": warnings}

    return HealthReport(
        reasons=lambda: [] if listening else ["waiting for the broker"],
        status=status,
        metrics=lambda: collect(METRICS, listening[0]) if listening else (),
    )
