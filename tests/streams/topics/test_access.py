"""Access rules: the table, and a real broker that enforces it."""

from collections.abc import Iterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from mail.errors import BrokerUnavailable
from streams.config import Bootstrap, PublisherConfig, TopicsConfig
from streams.log_client import LogClient
from streams.readers.lag import LagMeter, all_groups
from streams.topics.access_lists import ensure_access
from streams.topics.access_rules import (
    ANY,
    OPERATOR,
    USERS,
    AclOperation,
    Grant,
    ResourceKind,
    grants,
)
from streams.topics.admin import make_topics, topic_differences
from streams.topology import BY_NAME, CUSTODY, STAGES, TOPICS
from tests.support.broker import Broker, started

WRITERS = {
    "mail.received": {"ingress"},
    "mail.validated": {"intake"},
    "mail.scanned": {
        "scan",
        "ingress",
        "custody",
    },  # ingress: notices; custody: unfinished releases
    "mail.submissions": {"api", "msa", "intake", "scan", "relay"},
    "mail.relay": {"intake"},
    "mailbox.commands": {"intake", "api", "pop3", "mailbox"},
    "mailbox.events": {"mailbox"},
    "mailbox-unread-changelog": {"mailbox"},
}


def test_a_topic_is_written_by_those_whom_the_table_names_and_by_the_operator() -> None:
    def may(operation: AclOperation, topic: str) -> set[str]:
        return {
            grant.user
            for grant in grants()
            if grant.operation is operation
            and grant.kind is ResourceKind.TOPIC
            and grant.name in {topic, ANY}
        }

    for topic, writers in WRITERS.items():
        assert may(AclOperation.WRITE, topic) == {*writers, OPERATOR}, topic
    for stage in STAGES:
        assert may(AclOperation.DELETE, stage.reads) == {stage.role}, "its trimmer, no one else"
    assert may(AclOperation.DELETE, "dead.letters") == set()
    assert {grant.user for grant in grants()} == set(USERS)


def test_the_text_of_a_bootstrap_holds_no_secret() -> None:
    whole = Bootstrap("127.0.0.1:1", "scan", "s3cret")
    assert Bootstrap.parse(whole.written()) == whole
    assert Bootstrap.parse("127.0.0.1:1") == Bootstrap("127.0.0.1:1")
    assert "s3cret" not in f"{whole} {whole!r} {PublisherConfig(bootstrap=whole)!r}"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A node of its own: access lists and the real topics would be seen by all other tests."""
    with started(tmp_path_factory.mktemp("access")) as node:
        yield node


@pytest.fixture
async def asked(broker):
    """Create topics and access lists, with an entry of an older version."""
    config = TopicsConfig(bootstrap=broker.bootstrap)
    await make_topics(config)
    old = Grant("scan", AclOperation.WRITE, ResourceKind.TOPIC, "mail.received")
    await ensure_access(config, required=[*grants(), old])
    await ensure_access(config)
    await ensure_access(config)  # to repeat it changes nothing
    return broker


async def written(bootstrap: Bootstrap, topic: str) -> None:
    producer = AIOKafkaProducer(**bootstrap.options, acks="all", enable_idempotence=True)
    try:
        await producer.start()
        await producer.send_and_wait(topic, b"x", key=b"k")
    finally:
        await producer.stop()


@pytest.mark.kafka
async def test_no_client_connects_without_a_password(asked) -> None:
    servers = asked.bootstrap.servers
    for who in (Bootstrap(servers), Bootstrap(servers, "setup", "wrong"), Bootstrap(servers, "x")):
        client = AIOKafkaClient(**who.options, request_timeout_ms=3000)
        with pytest.raises(KafkaError):
            await client.bootstrap()
        await client.close()
        async with LogClient(who, timeout_s=5.0) as log:
            with pytest.raises(BrokerUnavailable):
                await log.partitions(["mail.received"])


@pytest.mark.kafka
async def test_each_process_writes_what_it_should_and_nothing_else(asked) -> None:
    refused = (TopicAuthorizationFailedError, ClusterAuthorizationFailedError)  # writes nothing
    for user in {*USERS} - {OPERATOR}:
        who = asked.bootstrap_as(user)
        for topic, writers in WRITERS.items():
            if user in writers:
                await written(who, topic)
            else:
                with pytest.raises(refused):
                    await written(who, topic)
    for topic in TOPICS:
        await written(asked.bootstrap_as(OPERATOR), topic.name)


@pytest.mark.kafka
async def test_every_user_may_read_all_offsets(asked) -> None:
    for user in USERS:
        meter = LagMeter(asked.bootstrap_as(user))
        await meter.start()
        try:
            assert set(await meter.read(all_groups())) == set(all_groups())
        finally:
            await meter.stop()


@pytest.mark.kafka
async def test_a_topic_is_read_in_a_group_and_trimmed_by_its_reader_alone(asked) -> None:
    topic, part = "mail.validated", TopicPartition("mail.validated", 0)
    await written(asked.bootstrap_as("intake"), topic)
    async with reading(asked.bootstrap_as("scan"), "postriver-scan", topic) as consumer:
        assert await consumer.getmany(timeout_ms=10_000)
        await consumer.commit()
    with pytest.raises(GroupAuthorizationFailedError):
        async with reading(asked.bootstrap_as("api"), "postriver-scan", topic) as consumer:
            await consumer.getmany(timeout_ms=10_000)
    async with LogClient(asked.bootstrap_as("mailbox")) as log:
        with pytest.raises(BrokerUnavailable, match="TopicAuthorization"):
            await log.delete_before({part: 0})
    async with LogClient(asked.bootstrap_as("scan")) as log:
        await log.delete_before({part: 0})


@asynccontextmanager
async def reading(bootstrap: Bootstrap, group: str, topic: str):
    consumer = AIOKafkaConsumer(
        topic, **bootstrap.options, group_id=group, auto_offset_reset="earliest"
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


@pytest.mark.kafka
async def test_custody_and_the_operator_read_every_topic(asked) -> None:
    await written(asked.bootstrap, "mail.scanned")
    for user in (CUSTODY, OPERATOR):
        async with LogClient(asked.bootstrap_as(user)) as log:
            parts = await log.partitions(BY_NAME)
            ends = await log.ends(parts)
            assert [one async for one in log.read({part: (0, end) for part, end in ends.items()})]
    assert await topic_differences(TopicsConfig(bootstrap=asked.bootstrap_as(OPERATOR))) == []
