"""Ports of the admin API in the role api.

The role acts as the command line does: with the broker's user `operator`, by connections that are
opened for one request. So a role without the admin API has no right of an operator at the broker.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from cli.config.config import Config
from cli.wiring.embedded import Adapters
from cli.wiring.sending import DnsTexts
from cli.wiring.service_key import service_key
from cli.wiring.stack_status import OpsStackStatus, stack_status
from mail.directory.recipient_resolver import DirectoryResolver
from mail.errors import Transient
from mail.lifecycle import running
from mail.ports import Directory, Ledger, Publisher, Quarantine
from mail.sending.dkim.keyring import DkimKeyrings
from operations import dead_letters
from operations.admin_ports import AdminPorts, DeadLetterDesk
from operations.dead_letters import CauseCount
from operations.ports import ReleasePorts, TracePorts
from operations.trace import HeldPartition, Tracer
from schemas.events.unions import Event
from schemas.ids import MailId
from streams.config import Bootstrap, PublisherConfig
from streams.dead_letters import park_requests
from streams.dead_letters.admin import DeadLetterResult
from streams.dead_letters.records import DeadLetterFilter, ParkedRecord
from streams.dead_letters.set_aside import parse_position, requests_folder
from streams.publisher import KafkaPublisher
from streams.readers.in_flight_search import received_places
from streams.readers.mail_finder import LocatedRecord, find_in_flight
from streams.topics.access_rules import OPERATOR


async def admin_ports(config: Config, opened: Adapters, directory: Directory) -> AdminPorts:
    """Open what the admin API needs. Raises Refused: the secret key cannot be read."""
    as_operator = replace(config, user=OPERATOR)
    quarantine, ledger = await opened.quarantine(), await opened.ledger()
    stack = stack_status(config)
    return AdminPorts(
        stack=stack,
        directory=directory,
        release=ReleasePorts(
            quarantine=quarantine,
            contents=await opened.contents(),
            holders=await opened.holders(),
            ledger=ledger,
        ),
        publisher=OperatorPublisher(as_operator),
        queue=await opened.relay_queue(),
        submissions=await opened.submissions(),
        letters=BrokerDeadLetters(as_operator, directory),
        tracer=await _tracer(as_operator, opened, directory, stack, (ledger, quarantine)),
        keyrings=DkimKeyrings(directory, service_key(config)),
        records=DnsTexts(config),
        hostname=config.hostname,
    )


class OperatorPublisher(Publisher):
    """Publishes by a connection of its own for each call."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def publish(self, *events: Event) -> None:
        bootstrap = self._config.bootstrap
        settings = PublisherConfig(bootstrap=bootstrap, linger_ms=0, connect_limit_s=10)
        async with running(KafkaPublisher(settings)) as publisher:
            await publisher.publish(*events)


class BrokerDeadLetters(DeadLetterDesk):
    """The dead letters of the log."""

    def __init__(self, config: Config, directory: Directory) -> None:
        self._config = config
        self._directory = directory

    @property
    def _bootstrap(self) -> Bootstrap:
        return self._config.bootstrap

    async def count_by_cause(self, conditions: DeadLetterFilter) -> list[CauseCount]:
        return await dead_letters.count_by_cause(self._bootstrap, conditions=conditions)

    async def newest(self, limit: int, conditions: DeadLetterFilter) -> list[ParkedRecord]:
        return await dead_letters.list_newest(self._bootstrap, limit, conditions=conditions)

    async def get(self, letter_id: str) -> ParkedRecord:
        return await dead_letters.show(self._bootstrap, letter_id)

    async def redrive(
        self,
        ids: Sequence[str] | None,
        *,
        conditions: DeadLetterFilter,
        dry_run: bool,
        force: bool,
    ) -> list[DeadLetterResult]:
        return await dead_letters.redrive(
            self._bootstrap, ids, conditions=conditions, dry_run=dry_run, force=force
        )

    async def discard(
        self, ids: Sequence[str], reason: str, *, dry_run: bool
    ) -> list[DeadLetterResult]:
        return await dead_letters.discard(self._bootstrap, ids, reason, dry_run=dry_run)

    async def park(self, name: str, *, dry_run: bool) -> bool:
        position, folder = parse_position(name), requests_folder(self._config.home)
        return await park_requests.request(
            self._bootstrap, self._directory, folder, position, dry_run=dry_run
        )


async def _tracer(
    config: Config,
    opened: Adapters,
    directory: Directory,
    stack: OpsStackStatus,
    stores: tuple[Ledger, Quarantine],
) -> Tracer:
    ledger, quarantine = stores

    async def find(mail_id: str) -> list[LocatedRecord]:
        places = await received_places(ledger.places, directory)
        return await find_in_flight(config.bootstrap, MailId(mail_id), places=places)

    return Tracer(
        ports=TracePorts(
            ledger=ledger,
            submissions=await opened.submissions(),
            store=await opened.mail_store(),
            quarantine=quarantine,
            users=directory,
            resolver=DirectoryResolver(directory, config.hostname),
        ),
        find_records=find,
        held=partial(_held, stack),
    )


async def _held(stack: OpsStackStatus) -> list[HeldPartition]:
    """The partitions that wait for an engine; [] if a supervisor does not answer."""
    try:
        report = await stack.report()
    except Transient:
        return []
    return [
        HeldPartition(
            topic=each.topic, partition=each.partition, engine=each.engine, since_ms=each.since_ms
        )
        for role in report.roles
        for each in role.held
    ]
