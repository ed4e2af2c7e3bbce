import asyncio
import itertools
import os
import signal

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner
from faust.transport.drivers.aiokafka import DefaultPartitioner as FaustPartitioner

from mail.errors import BrokerUnavailable, Poison
from schemas.dead_letters import DeadLetter
from streams.codec import decode_of
from streams.config import Bootstrap, PublisherConfig, TopicsConfig
from streams.dead_letters.headers import letter, texts
from streams.dead_letters.parking import park
from streams.publisher import TOGETHER_MAX, KafkaPublisher
from streams.topics.admin import ensure_topics
from streams.topology import EVENT_MAX_BYTES
from tests.streams.conftest import MemorySettings
from tests.streams.small import Note, SmallTopology
from tests.support.waiting import until

pytestmark = pytest.mark.kafka
_numbers = itertools.count()


async def create_topology(bootstrap, topics_config) -> SmallTopology:
    topology = SmallTopology(f"pub.{os.getpid()}.{next(_numbers)}")
    await ensure_topics(topics_config, MemorySettings(), topics=topology.topics)
    return topology


async def read_all(bootstrap: Bootstrap, topic: str) -> list:
    consumer = AIOKafkaConsumer(
        topic, **bootstrap.options, auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found = []
        while sum(ends.values()) > len(found):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
        return found
    finally:
        await consumer.stop()


@pytest.fixture
async def topology(broker, topics_config) -> SmallTopology:
    return await create_topology(broker.bootstrap, topics_config)


@pytest.fixture
async def publisher(broker, topology):
    made = KafkaPublisher(PublisherConfig(bootstrap=broker.bootstrap), topic_of=topology.topic_of)
    await made.start()
    yield made
    await made.stop()


async def test_an_event_is_published_under_its_key(broker, topology, publisher) -> None:
    count = TOGETHER_MAX + 20
    notes = [Note(key=f"k{n % 2}", number=n) for n in range(count)]
    await publisher.publish(*notes)
    found = await read_all(broker.bootstrap, topology.notes.name)
    events = [decode_of(topology.notes, each.offset, each.value) for each in found]
    assert sorted(event.number for event in events) == list(range(count))
    assert all(each.key.decode() == event.key for each, event in zip(found, events, strict=True))


def test_faust_and_the_publisher_choose_the_same_partition() -> None:
    partitions = list(range(12))
    for number in range(200):
        key = f"user {number}".encode()
        ours, theirs = DefaultPartitioner(), FaustPartitioner()
        assert ours(key, partitions, partitions) == theirs(key, partitions, partitions)


async def test_an_event_that_cannot_be_published_is_poison(publisher) -> None:
    with pytest.raises(Poison):
        await publisher.publish(Note(key="k", number=1, word="x" * (EVENT_MAX_BYTES + 1)))
    with pytest.raises(Poison):
        await publisher.publish(Note(key="k", number=1, word="\ud800"))
    await publisher.publish(Note(key="k", number=2, word="x" * (EVENT_MAX_BYTES - 100)))


async def test_a_dead_letter_of_the_largest_event_fits(broker, topology, publisher) -> None:
    written = DeadLetter(
        topic=topology.notes.name,
        partition=2,
        offset=41,
        stage="answer",
        cause="é" * 9_000,
        attempt=3,
        at_ms=5,
        key=b"k",
        value=bytes(EVENT_MAX_BYTES),
    )
    await park(publisher, written, topic=topology.dead.name)
    (found,) = await read_all(broker.bootstrap, topology.dead.name)
    read = letter(texts(found.headers), found.key, found.value)
    assert read is not None
    assert (read.topic, read.partition, read.offset, read.attempt) == (
        topology.notes.name,
        2,
        41,
        3,
    )
    assert (read.key, read.value) == (b"k", bytes(EVENT_MAX_BYTES))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_an_outage_loses_no_event_and_adds_no_copies(own_broker, how) -> None:
    bootstrap = own_broker.bootstrap
    topology = await create_topology(bootstrap, TopicsConfig(bootstrap=bootstrap, partitions=3))
    config = PublisherConfig(bootstrap=bootstrap, publish_limit_s=1.0)
    publisher = KafkaPublisher(config, topic_of=topology.topic_of)
    await publisher.start()
    try:
        await publisher.publish(Note(key="k", number=0))
        await asyncio.to_thread(own_broker.stop, how)
        note = Note(key="k", number=1)
        for _ in range(3):
            with pytest.raises(BrokerUnavailable):
                await publisher.publish(note)
        await asyncio.to_thread(own_broker.start)
        async with asyncio.timeout(60):
            while True:
                try:
                    await publisher.publish(note)
                    break
                except BrokerUnavailable:
                    continue
        await publisher.publish(Note(key="k", number=2))
    finally:
        await publisher.stop()
    found = await read_all(bootstrap, topology.notes.name)
    numbers = [decode_of(topology.notes, each.offset, each.value).number for each in found]
    assert numbers in ([0, 1, 2], [0, 1, 1, 2])  # written between two tries: known too late


async def test_a_refused_batch_is_followed_by_a_new_producer(broker, topology, publisher) -> None:
    """A record that the broker refuses leaves a gap in the sequence of the old producer."""
    huge = bytes(EVENT_MAX_BYTES)
    await publisher.publish_raw(topology.dead.name, b"k", b"fits", [])
    tight = SmallTopology(f"tight.{os.getpid()}.{next(_numbers)}")
    tight.notes.settings["max.message.bytes"] = "100000"
    config = TopicsConfig(bootstrap=broker.bootstrap, partitions=3)
    await ensure_topics(config, MemorySettings(), topics=tight.topics)
    with pytest.raises(BrokerUnavailable):
        await publisher.publish_raw(tight.notes.name, b"k", huge, [])
    with pytest.raises(BrokerUnavailable, match="not connected"):
        await publisher.publish(Note(key="k", number=1))
    await until(lambda: publisher._producer is not None)
    await publisher.publish(Note(key="k", number=1))
    await publisher.publish_raw(tight.notes.name, b"k", b"fits", [])


async def test_a_closed_port_is_unavailable() -> None:
    config = PublisherConfig(bootstrap=Bootstrap("127.0.0.1:1"), connect_limit_s=0.3)
    publisher = KafkaPublisher(config, topic_of=SmallTopology("closed").topic_of)
    with pytest.raises(BrokerUnavailable):
        await publisher.start()
    with pytest.raises(BrokerUnavailable, match="not connected"):
        await publisher.publish(Note(key="k", number=1))
    await publisher.stop()


def test_canary_the_idempotent_producer_never_expires_a_batch() -> None:
    """aiokafka retries such a batch without a limit, so publisher.py limits every wait itself."""
    import inspect

    from aiokafka.producer.sender import SendProduceReqHandler

    source = inspect.getsource(SendProduceReqHandler._can_retry)
    assert "self._sender._txn_manager is None and batch.expired()" in source, (
        "aiokafka changed how batches expire: read publisher.py's header again"
    )
    assert AIOKafkaProducer is not None
