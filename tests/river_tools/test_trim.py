import asyncio
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.topology import BY_NAME, DEAD_LETTERS, Topic
from streams.trim import TrimConfig, Trimmer, trim_goals, trimmed_topics
from tests.river_tools.conftest import commit, fresh, make

MARGIN = TrimConfig(margin_records=5, interval_s=0.2)


def a_topic(like: str = "mail.received", *, watchers: tuple[str, ...] = ()) -> Topic:
    return replace(BY_NAME[like], name=fresh("work"), watchers=watchers)


async def begins(broker, topic: str) -> list[int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap)
    await consumer.start()
    try:
        found = await consumer.beginning_offsets([TopicPartition(topic, each) for each in range(3)])
    finally:
        await consumer.stop()
    return [at for _, at in sorted(found.items())]


async def fill(producer, topic: str) -> None:
    for partition in range(3):
        for number in range(20):
            await producer.send(topic, b"%d" % number, key=b"k", partition=partition)
    await producer.flush()


def trimmer(broker, group: str, *topics: Topic) -> Trimmer:
    return Trimmer(broker.bootstrap, group=group, topics=topics, config=MARGIN)


@pytest.mark.kafka
async def test_what_is_committed_less_the_margin_goes_and_nothing_else(broker, admin, producer):
    topic, untouched, group = a_topic(), a_topic(), fresh("group")
    await make(admin, topic.name, untouched.name)
    await fill(producer, topic.name)
    await fill(producer, untouched.name)
    await commit(broker.bootstrap, group, {(topic.name, 0): 15, (topic.name, 1): 5})
    made = trimmer(broker, group, topic, untouched)
    try:
        assert await made.trim() == 10
        assert await begins(broker, topic.name) == [10, 0, 0]
        assert await made.trim() == 0, "safe to repeat"
        await made.start()
        await commit(broker.bootstrap, group, {(topic.name, 0): 20, (topic.name, 2): 6})
        async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap) as consumer:
            part = TopicPartition(topic.name, 2)
            while (await consumer.beginning_offsets([part]))[part] == 0:
                await asyncio.sleep(0.1)
        assert await begins(broker, topic.name) == [15, 0, 1]
        assert await begins(broker, untouched.name) == [0, 0, 0], "a group without a commit"
    finally:
        await made.stop()


@pytest.mark.kafka
async def test_compacted_topics_and_dead_letters_are_never_trimmed(broker, admin, producer):
    compacted, group = a_topic("mailbox-unread-changelog"), fresh("group")
    await make(admin, compacted.name, **{"cleanup.policy": "compact,delete"})  # it would let us
    await make(admin, DEAD_LETTERS)
    await fill(producer, compacted.name)
    await fill(producer, DEAD_LETTERS)
    letters = await begins(broker, DEAD_LETTERS)
    await commit(
        broker.bootstrap, group, {(compacted.name, 0): 20, (DEAD_LETTERS, 0): letters[0] + 20}
    )
    made = trimmer(broker, group, compacted, BY_NAME[DEAD_LETTERS])
    try:
        assert await made.trim() == 0
        assert await begins(broker, compacted.name) == [0, 0, 0]
        assert await begins(broker, DEAD_LETTERS) == letters
    finally:
        await made.stop()


@pytest.mark.kafka
async def test_what_a_watcher_has_not_read_stays(broker, admin, producer):
    prefix, group = fresh("prefix"), fresh("group")
    topic = a_topic(watchers=("custody",))
    await make(admin, topic.name)
    await fill(producer, topic.name)
    await commit(broker.bootstrap, group, {(topic.name, each): 20 for each in range(3)})
    made = Trimmer(
        broker.bootstrap, group=group, topics=[topic], config=MARGIN, group_prefix=prefix
    )
    try:
        assert await made.trim() == 0, "a watcher that has committed nothing"
        watcher = prefix + "custody"
        await commit(broker.bootstrap, watcher, {(topic.name, 0): 12, (topic.name, 1): 20})
        assert await made.trim() == 22
        assert await begins(broker, topic.name) == [7, 15, 0]
    finally:
        await made.stop()


def test_a_commit_beyond_the_end_trims_nothing():
    part = TopicPartition("t", 0)
    assert trim_goals({part: 50}, {part: 0}, {part: 49}, margin_records=1) == {}
    assert trim_goals({part: 50}, {part: 0}, {part: 50}, margin_records=1) == {part: 49}
    assert trim_goals({part: 50}, {part: 49}, {part: 50}, margin_records=1) == {}


def test_a_role_trims_the_topics_that_its_stages_read():
    assert [topic.name for topic in trimmed_topics("intake")] == ["mail.received", "mail.scanned"]
