"""Ranges of records, on a real broker."""

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.log_client import LogClient
from tests.support.broker import Broker
from tests.support.log import fresh, make

pytestmark = pytest.mark.kafka


async def test_exactly_the_records_of_the_spans_are_read(
    broker: Broker, admin: AIOKafkaAdminClient, producer: AIOKafkaProducer
) -> None:
    topic = fresh("spans")
    await make(admin, topic, partitions=3)
    parts = [TopicPartition(topic, number) for number in range(3)]
    for number in range(5):
        for part in parts:
            await producer.send_and_wait(topic, b"%d" % number, partition=part.partition)
    spans = {parts[0]: (1, 3), parts[1]: (2, 2), parts[2]: (0, 5)}
    async with LogClient(broker.bootstrap) as log:
        for _ in range(2):  # connections that are there are used again
            found = [(one.partition, one.offset) async for one in log.read(spans)]
            assert sorted(found) == [(0, 1), (0, 2), *((2, number) for number in range(5))]
        assert await log.partitions([topic, fresh("missing")]) == parts
        assert await log.ends(parts) == dict.fromkeys(parts, 5)
        await log.delete_before({parts[2]: 3})
        assert await log.begins(parts) == {parts[0]: 0, parts[1]: 0, parts[2]: 3}
        assert [one.offset async for one in log.read({parts[2]: (0, 4)})] == [3]


async def test_a_commit_that_the_log_does_not_have_counts_as_none(
    broker: Broker, admin: AIOKafkaAdminClient, producer: AIOKafkaProducer
) -> None:
    """Behind the end: of a log that was lost. Before the beginning: records were deleted."""
    topic, group = fresh("commits"), fresh("group")
    await make(admin, topic, partitions=4)
    parts = [TopicPartition(topic, number) for number in range(4)]
    for part in parts:
        for _ in range(5):
            await producer.send_and_wait(topic, b"record", partition=part.partition)
    consumer = AIOKafkaConsumer(
        **broker.bootstrap.options, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    consumer.assign(parts)
    await consumer.commit({parts[0]: 2, parts[1]: 9, parts[2]: 1})
    await consumer.stop()
    async with LogClient(broker.bootstrap) as log:
        await log.delete_before({parts[2]: 3})
        found = await log.unconsumed({group: [topic, fresh("missing")]})
    assert found == {group: dict(zip(parts, [(2, 5), (0, 5), (3, 5), (0, 5)], strict=True))}
