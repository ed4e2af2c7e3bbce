import asyncio
import contextlib

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewPartitions, RecordsToDelete

from streams.codec import encode
from streams.readers.event_tail import EventTail, EventTailConfig
from tests.support.broker import Broker
from tests.support.event_builders import answered
from tests.support.log import fresh, make, remake
from tests.support.waiting import until

pytestmark = pytest.mark.kafka


@contextlib.asynccontextmanager
async def listening(broker: Broker, topic: str, **settings):
    quick = {"check_interval_s": 0.5, "retry_s": 0.2} | settings
    tail = EventTail(broker.bootstrap, EventTailConfig(topic=topic, **quick))
    await tail.start()
    try:
        async with asyncio.timeout(30):
            await tail.wait_ready()
        yield tail
    finally:
        await tail.stop()


class CommandIds:
    """A sink that keeps the command ids of its events, in order."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def __call__(self, event) -> None:
        self.commands.append(event.command_id)


async def publish(producer: AIOKafkaProducer, topic: str, user: str, *commands: str) -> None:
    for command in commands:
        await producer.send_and_wait(topic, encode(answered(user, command)), key=user.encode())


async def test_a_subscriber_gets_its_users_events_in_order_from_subscription_on(
    broker, admin, producer
):
    topic = fresh("events")
    await make(admin, topic)
    await publish(producer, topic, "alice", "before")
    async with listening(broker, topic) as tail:
        alice, too, bob = CommandIds(), CommandIds(), CommandIds()
        tail.subscribe("alice", alice)
        end_of_too = tail.subscribe("alice", too)
        tail.subscribe("bob", bob)
        await publish(producer, topic, "alice", "1", "2")
        await publish(producer, topic, "carol", "no subscriber")
        await until(lambda: too.commands == ["1", "2"])
        end_of_too()
        end_of_too()
        await publish(producer, topic, "alice", "3")
        await publish(producer, topic, "bob", "4")
        await until(lambda: alice.commands == ["1", "2", "3"] and bob.commands == ["4"])
        assert too.commands == ["1", "2"]


async def test_an_undecodable_event_or_failing_subscriber_is_skipped(
    broker, admin, producer, caplog
):
    topic = fresh("events")
    await make(admin, topic)
    async with listening(broker, topic) as tail:
        heard, raised = CommandIds(), []

        def raises(event) -> None:
            raised.append(event)
            raise ValueError("socket gone")

        tail.subscribe("alice", raises)
        tail.subscribe("alice", heard)
        for key, value in (
            (b"alice", b"no event"),
            (b"alice", None),
            (b"alice", encode(answered("bob", "of another user"))),
            (None, encode(answered("alice", "without key"))),
        ):
            await producer.send_and_wait(topic, value, key=key)
        await publish(producer, topic, "alice", "1", "2")
        await until(lambda: heard.commands == ["1", "2"])
    assert len(raised) == 1
    assert "socket gone" in caplog.text
    assert sum("skipped for user alice" in record.message for record in caplog.records) == 2
    assert "different users" in caplog.text


async def test_events_of_an_outage_are_delivered_after_it(broker, admin):
    topic = fresh("events")
    await make(admin, topic)
    async with listening(broker, topic, retry_s=2.0) as tail:
        heard = CommandIds()
        tail.subscribe("alice", heard)
        await asyncio.to_thread(broker.stop)
        await until(lambda: not tail.ready)
        await asyncio.to_thread(broker.start)
        async with AIOKafkaProducer(**broker.bootstrap.options) as producer:
            await publish(producer, topic, "alice", "1", "2", "3")
        await until(lambda: heard.commands == ["1", "2", "3"])
        assert tail.ready


@pytest.mark.parametrize("away", [False, True], ids=["listening", "away meanwhile"])
async def test_a_topic_created_again_is_read_from_its_beginning_even_past_the_old_position(
    broker, admin, producer, away
):
    topic = fresh("events")
    await make(admin, topic)
    async with listening(broker, topic) as tail:
        heard = CommandIds()
        tail.subscribe("alice", heard)
        await publish(producer, topic, "alice", "old")
        await until(lambda: heard.commands == ["old"])
        if away:
            await tail.stop()
        await remake(admin, topic)
        async with AIOKafkaProducer(**broker.bootstrap.options) as again:
            await publish(again, topic, "alice", "1", "2", "3")
        await tail.start()
        await until(lambda: {"1", "2", "3"} <= set(heard.commands))


async def test_partitions_that_come_later_are_read_from_their_beginning(broker, admin, producer):
    topic = fresh("events")
    await make(admin, topic, partitions=1)
    async with listening(broker, topic) as tail:
        heard = CommandIds()
        tail.subscribe("alice", heard)
        await admin.create_partitions({topic: NewPartitions(3)})
        async with AIOKafkaProducer(**broker.bootstrap.options) as later:
            while len(await later.partitions_for(topic)) < 3:
                await asyncio.sleep(0.1)
                await later.client.force_metadata_update()
            for number in range(3):
                event = encode(answered("alice", str(number)))
                await later.send_and_wait(topic, event, key=b"alice", partition=number)
        await until(lambda: set(heard.commands) == {"0", "1", "2"})


async def test_a_trimmed_position_continues_at_the_beginning(broker, admin, producer):
    topic = fresh("events")
    await make(admin, topic, partitions=1)
    async with listening(broker, topic) as tail:
        heard = CommandIds()
        tail.subscribe("alice", heard)
        await tail.stop()
        await publish(producer, topic, "alice", "1", "2", "3")
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=1)})
        await tail.start()
        await until(lambda: heard.commands == ["2", "3"])


async def test_a_broker_or_topic_that_comes_later_is_waited_for(broker, admin, producer):
    topic = fresh("events")
    tail = EventTail(broker.bootstrap, EventTailConfig(topic=topic, retry_s=0.2))
    await tail.start()
    try:
        await asyncio.sleep(0.5)
        assert not tail.ready
        await make(admin, topic)
        await asyncio.wait_for(tail.wait_ready(), 30)
        heard = CommandIds()
        tail.subscribe("alice", heard)
        await publish(producer, topic, "alice", "1")
        await until(lambda: heard.commands == ["1"])
    finally:
        await tail.stop()
    assert not tail.ready
