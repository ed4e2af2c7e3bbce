"""Create topics and commit offsets on a real broker, for tests."""

import asyncio
import itertools
import os

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import OffsetAndMetadata

from streams.config import Bootstrap

_numbers = itertools.count()


def fresh(name: str) -> str:
    """Return a name of a topic or group that no other test uses."""
    return f"{name}.{os.getpid()}.{next(_numbers)}"


async def make(admin: AIOKafkaAdminClient, *names: str, partitions: int = 3, **settings) -> None:
    """Create topics and wait until the broker leads them."""
    topics = [NewTopic(name, partitions, 1, topic_configs=settings) for name in names]
    answer = await admin.create_topics(topics)
    assert all(error[1] in (0, 36) for error in answer.topic_errors), answer
    while any(topic["error_code"] for topic in await admin.describe_topics(list(names))):
        await asyncio.sleep(0.05)


async def remake(admin: AIOKafkaAdminClient, name: str, *, partitions: int = 3) -> None:
    """Delete a topic and create it again under the same name."""
    await admin.delete_topics([name])
    while True:
        answer = await admin.create_topics([NewTopic(name, partitions, 1)])
        if answer.topic_errors[0][1] == 0:
            break
        await asyncio.sleep(0.05)
    while (await admin.describe_topics([name]))[0]["error_code"]:
        await asyncio.sleep(0.05)


async def commit(bootstrap: Bootstrap, group: str, offsets: dict[tuple[str, int], int]) -> None:
    """Commit offsets for a group without members."""
    consumer = AIOKafkaConsumer(**bootstrap.options, group_id=group, enable_auto_commit=False)
    consumer.assign([TopicPartition(*part) for part in offsets])
    await consumer.start()
    try:
        await consumer.commit(
            {TopicPartition(*part): OffsetAndMetadata(at, "") for part, at in offsets.items()}
        )
    finally:
        await consumer.stop()
