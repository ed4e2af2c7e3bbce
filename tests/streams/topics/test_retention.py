import asyncio
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.config import TopicsConfig
from streams.topics.admin import make_topics
from streams.topics.retention import LogTrimmer, TrimConfig, trim_goals, trimmed_topics
from streams.topology import BY_NAME, DEAD_LETTERS, Topic
from tests.support.broker import started
from tests.support.log import commit, fresh, make

KIB = 1024
MARGIN = TrimConfig(margin_records=5, interval_s=0.2)


def a_topic(like: str = "mail.received", *, watchers: tuple[str, ...] = ()) -> Topic:
    return replace(BY_NAME[like], name=fresh("work"), watchers=watchers)


async def begins(broker, topic: str) -> list[int]:
    consumer = AIOKafkaConsumer(**broker.bootstrap.options)
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


def trimmer(broker, group: str, *topics: Topic) -> LogTrimmer:
    return LogTrimmer(broker.bootstrap, group=group, topics=topics, config=MARGIN)


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
        async with AIOKafkaConsumer(**broker.bootstrap.options) as consumer:
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
    made = LogTrimmer(
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
    assert trim_goals({part: 50}, {part: 0}, {part: 49}, keep={part: 49}) == {}
    assert trim_goals({part: 50}, {part: 0}, {part: 50}, keep={part: 49}) == {part: 49}
    assert trim_goals({part: 50}, {part: 49}, {part: 50}, keep={part: 49}) == {}
    assert trim_goals({part: 50}, {part: 0}, {part: 50}, keep={part: 51}) == {}


def test_a_role_trims_the_topics_that_its_stages_read():
    assert sorted(topic.name for topic in trimmed_topics("intake")) == [
        "mail.received", "mail.rejected", "mail.scanned", "mail.submissions", "mail.submitted",
    ]  # fmt: skip


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("how", "left"),
    [
        ({}, 0),  # by number
        ({"margin_bytes": 3 * 32 * KIB}, 17),  # at 32 KiB a record, the largest
        ({"margin_age_s": 0.0}, 20),
        ({"squeezed": lambda: True}, 20),
    ],
)
async def test_the_margin_is_bounded_by_number_size_age_and_room(
    broker, admin, producer, how, left
):
    topic, group = a_topic(), fresh("group")
    await make(admin, topic.name)
    await fill(producer, topic.name)
    await commit(broker.bootstrap, group, {(topic.name, 0): 20, (topic.name, 1): 1})
    config = TrimConfig(margin_records=1000, **how)
    made = LogTrimmer(broker.bootstrap, group=group, topics=[topic], config=config)
    try:
        await asyncio.sleep(0.01)  # what is written has an age
        await made.trim()
        assert await begins(broker, topic.name) == [left, max(0, left - 19), 0]
    finally:
        await made.stop()


def test_events_with_contents_are_those_of_mail():
    with_contents = {topic.name for topic in BY_NAME.values() if topic.carries_contents}
    assert with_contents == {"mail.received", "mail.validated", "mail.scanned"}


@pytest.mark.kafka
async def test_what_is_trimmed_frees_its_room_on_disk(tmp_path):
    """The settings of the table, except smaller segments and a shorter deletion delay."""
    size = 1024 * KIB
    likeness = BY_NAME["mail.validated"]
    topic = replace(
        likeness,
        settings=likeness.settings | {"segment.bytes": str(size), "file.delete.delay.ms": "100"},
    )
    with started(tmp_path, retention_check_ms=200) as broker:
        await make_topics(TopicsConfig(bootstrap=broker.bootstrap, partitions=2), topics=[topic])
        async with AIOKafkaProducer(**broker.bootstrap.options) as producer:
            for number in range(500):
                await producer.send(topic.name, bytes(30 * KIB), partition=number % 2)
        folder = broker.log_folder
        assert log_bytes(folder, topic.name) > 12 * size
        at = {(topic.name, 0): 250, (topic.name, 1): 250}
        await commit(broker.bootstrap, "postriver-scan", at)
        made = LogTrimmer.of_role(
            broker.bootstrap, "scan", config=TrimConfig(margin_bytes=5 * 32 * KIB)
        )
        try:
            assert await made.trim() == 490
            async with asyncio.timeout(60):
                while log_bytes(folder, topic.name) > 2 * 2 * size:
                    await asyncio.sleep(0.1)
        finally:
            await made.stop()


def log_bytes(folder, topic: str) -> int:
    segments = (path for each in folder.glob(f"{topic}-[0-9]") for path in each.glob("*.log*"))
    return sum(path.stat().st_size for path in segments if path.exists())
