"""Adapters of the stream ports, each held to its contract."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from mail.clock import now_ms
from mail.errors import BrokerUnavailable
from operations.dead_letters import redrive
from schemas.dead_letters import DeadLetter
from schemas.events.mailbox_events import CommandAnswered, Position
from streams.codec import decode_of, encode
from streams.config import Bootstrap, PublisherConfig, TopicsConfig
from streams.dead_letters import parking
from streams.publisher import KafkaPublisher
from streams.readers.backlog_gate import BacklogGate, DiskGate, GateConfig
from streams.readers.event_tail import EventTail, EventTailConfig
from streams.readers.in_flight_search import LogDeadLetters, LogInFlightMails
from streams.readers.lag import LagMeter
from streams.readers.scan_backlog import KafkaScanLog
from streams.topics.admin import make_topics
from streams.topology import TOPIC_OF
from streams.worker.attempt import EventAttempt
from streams.worker.mailbox_table import MailboxStatesTable
from tests.contracts.attempt import AttemptContract
from tests.contracts.dead_letters import DeadLettersContract
from tests.contracts.in_flight_mails import InFlightMailsContract
from tests.contracts.intake_gate import IntakeGateContract
from tests.contracts.live_events import LiveEventsContract
from tests.contracts.mailbox_states import MailboxStatesContract
from tests.contracts.publisher import PublisherContract
from tests.contracts.scan_log import ScanLogContract
from tests.streams.conftest import read_all
from tests.streams.readers.test_in_flight_search import Client, FakeLog
from tests.support.event_builders import validated
from tests.support.log import fresh, make
from tests.support.waiting import until

NOWHERE = Bootstrap("127.0.0.1:1")


@asynccontextmanager
async def connected(bootstrap: Bootstrap, topic_of=TOPIC_OF):
    publisher = KafkaPublisher(PublisherConfig(bootstrap=bootstrap, linger_ms=0), topic_of=topic_of)
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.stop()


class KafkaEvents:
    """A topic of mailbox events of its own for each test."""

    @pytest.fixture
    async def topic(self, admin):
        topic = replace(TOPIC_OF[CommandAnswered], name=fresh("events"))
        await make(admin, topic.name)
        return topic

    @pytest.fixture
    async def publisher(self, broker, topic):
        async with connected(broker.bootstrap, {CommandAnswered: topic}) as publisher:
            yield publisher


@pytest.mark.kafka
class TestKafkaPublisher(KafkaEvents, PublisherContract):
    @pytest.fixture
    def published(self, broker, topic):
        async def events_of(user_id):
            records = await read_all(broker.bootstrap, topic.name)
            events = [decode_of(topic, record.offset, record.value) for record in records]
            return [event for event in events if event.user_id == user_id]

        return events_of

    @pytest.fixture
    def unreachable_publisher(self):
        return KafkaPublisher(PublisherConfig(bootstrap=NOWHERE))


@pytest.mark.kafka
class TestEventTail(KafkaEvents, LiveEventsContract):
    @pytest.fixture
    async def live_events(self, broker, topic):
        config = EventTailConfig(topic=topic.name, check_interval_s=0.5, retry_s=0.2)
        tail = EventTail(broker.bootstrap, config)
        await tail.start()
        try:
            async with asyncio.timeout(30):
                await tail.wait_ready()
            yield tail
        finally:
            await tail.stop()

    @pytest.fixture
    def emit(self, live_events, publisher):
        async def emit_events(*events):
            """Publish `events`, then one event more for each user, which follows them."""
            passed = set()
            users = {event.user_id for event in events}
            ends = [
                live_events.subscribe(user_id, lambda event: passed.add(event.command_id))
                for user_id in users
            ]
            await publisher.publish(*events)
            await until(lambda: passed >= {event.command_id for event in events})
            for end in ends:
                end()

        return emit_events


class TestMailboxStatesTable(MailboxStatesContract):
    """The table's own storage is a dict; test_mailbox_table.py has it on a broker."""

    @pytest.fixture
    def states(self):
        class App:
            def Table(self, *_, **__):  # noqa: N802  (Faust's name)
                return {}

            def topic(self, *_, **__):
                return None

        return MailboxStatesTable(App(), partitions=3)

    @pytest.fixture
    def reassign(self, states):
        return states.doubt_all


class TestLogInFlightMails(InFlightMailsContract):
    @pytest.fixture
    def log(self):
        class Log(FakeLog):
            def append(self, topic, mail_id):
                self.logs[topic].append(mail_id)

            def finish(self, topic):
                self.committed[topic] = len(self.logs[topic])

        return Log()

    @pytest.fixture
    def in_flight(self, log):
        return LogInFlightMails(NOWHERE, client=lambda _: Client(log))

    @pytest.fixture
    def cut_off(self, log):
        def fail():
            raise BrokerUnavailable("gone")

        return lambda: setattr(log, "between", fail)


@pytest.mark.kafka
class TestLogDeadLetters(DeadLettersContract):
    @pytest.fixture
    async def dead_letters(self, broker):
        await make_topics(TopicsConfig(bootstrap=broker.bootstrap, partitions=3))
        return LogDeadLetters(broker.bootstrap)

    @pytest.fixture
    async def park(self, broker, dead_letters):
        async with connected(broker.bootstrap) as publisher:

            async def park_mail(mail_id):
                letter = DeadLetter(
                    topic="mail.validated",
                    partition=0,
                    offset=1,
                    stage="scan",
                    cause="RuntimeError: odd",
                    attempt=5,
                    at_ms=now_ms(),
                    key=mail_id.encode(),
                    value=encode(validated(mail_id)),
                )
                await parking.park(publisher, letter)

            yield park_mail

    @pytest.fixture
    def redrive(self, broker):
        async def redrive_letter(letter_id):
            await redrive(broker.bootstrap, [letter_id])

        return redrive_letter

    @pytest.fixture
    def unreachable_dead_letters(self):
        return LogDeadLetters(NOWHERE)


class TestEventAttempt(AttemptContract):
    @pytest.fixture
    def make_attempt(self):
        def first_try(offset):
            attempt = EventAttempt(Position("e1", 0, offset), stage="scan", worker="w1")
            attempt.begin()
            return attempt

        return first_try

    @pytest.fixture
    def acknowledge(self):
        return EventAttempt.published


class TestBacklogGate(IntakeGateContract):
    @pytest.fixture
    async def open_gate(self, tmp_path):
        return BacklogGate(LagMeter(NOWHERE), GateConfig(folder=tmp_path))

    @pytest.fixture
    async def closed_gate(self, tmp_path):
        config = GateConfig(folder=tmp_path, disk_min_bytes=2**62, disk_min_share=2.0)
        gate = BacklogGate(LagMeter(NOWHERE), config)
        await gate.start()
        yield gate
        await gate.stop()


class TestDiskGate(IntakeGateContract):
    @pytest.fixture
    async def open_gate(self, tmp_path):
        return DiskGate(GateConfig(folder=tmp_path))

    @pytest.fixture
    async def closed_gate(self, tmp_path):
        gate = DiskGate(GateConfig(folder=tmp_path, disk_min_bytes=2**62, disk_min_share=2.0))
        await gate.start()
        yield gate
        await gate.stop()


class TestKafkaScanLog(ScanLogContract):
    @pytest.fixture
    def scan_log(self):
        class Meter(LagMeter):
            async def read(self, groups_topics):
                lags = {"mail.received": 1, "mail.validated": 2}
                return {
                    group: {topic: lags[topic] for topic in topics}
                    for group, topics in groups_topics.items()
                }

            async def position(self, group, topic):
                assert (group, topic) == ("postriver-scan", "mail.validated")
                return 5

        return KafkaScanLog(Meter(NOWHERE))

    @pytest.fixture
    async def unreachable_scan_log(self):
        return KafkaScanLog(LagMeter(NOWHERE))
