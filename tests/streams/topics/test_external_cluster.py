"""A Kafka that runs elsewhere: SCRAM over TLS, a user for each role, and topics of a cluster."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from cli.config.config import Config, load
from cli.doctor import external
from cli.migration import topics_config
from mail.errors import BrokerUnavailable, Fatal
from stack.secrets import secret
from stack.state_folder import StateFolder
from streams.config import Bootstrap, TopicsConfig
from streams.topics.access_lists import _create, _Describe, _row, ensure_access
from streams.topics.access_rules import SETUP, USERS, AclOperation, Grant, ResourceKind
from streams.topics.admin import WrongTopic, ensure_topics, make_topics
from streams.topics.scram_users import ensure_users
from streams.topics.settings import ActualTopic, differences, required_settings
from streams.topology import TOPICS
from streams.worker.worker import credentials
from tests.streams.conftest import MemorySettings
from tests.streams.small import topic
from tests.support.broker import Broker, add_scram_listener
from tests.support.certificates import make_certificate

PASSWORD = "correct horse"
WORK = TOPICS[0]
CLUSTER = TopicsConfig(bootstrap=Bootstrap("unused"), replicas=3, min_in_sync=2)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """The settings of a host, for a broker that has an administrator."""
    folder = tmp_path_factory.mktemp("cluster")
    made = make_certificate(folder / "tls")
    broker = Broker(folder)
    port = add_scram_listener(broker, made)
    file = folder / "password"
    file.write_text(f"{PASSWORD}\n")
    try:
        broker.start()
        settings = load({
            "POSTRIVER_HOME": str(folder / "ours"),
            "POSTRIVER_KAFKA": f"kafka://administrator@localhost,127.0.0.1:{port}"
            f"?tls=1&ca={made.certificate}&replicas=1",
            "POSTRIVER_KAFKA_PASSWORD_FILE": str(file),
        })  # fmt: skip
        topics = TopicsConfig(bootstrap=broker.bootstrap)
        asyncio.run(ensure_users(topics, {"administrator": PASSWORD}))
        yield settings
    finally:
        broker.stop()


@pytest.fixture
async def users(config: Config) -> Config:
    """All users and access lists, as the role `setup` makes them; safe to repeat."""
    topics = topics_config(replace(config, user=SETUP))
    home = StateFolder(config.home)
    await ensure_users(topics, {user: secret(home, user) for user in USERS})
    await make_topics(topics)
    await ensure_access(topics)
    return config


async def _written(bootstrap: Bootstrap, name: str) -> None:
    producer = AIOKafkaProducer(**bootstrap.options, acks="all")
    try:
        await producer.start()
        await producer.send_and_wait(name, b"x", key=b"k")
    finally:
        await producer.stop()


@pytest.mark.kafka
async def test_each_role_signs_in_with_its_own_password_and_rights(users: Config) -> None:
    await _written(replace(users, user="ingress").bootstrap, "mail.received")
    with pytest.raises(TopicAuthorizationFailedError):
        await _written(replace(users, user="api").bootstrap, "mail.scanned")
    states = await external.states(users)
    assert [each.reason for each in states] == ["", ""], "each of two names"


@pytest.mark.kafka
@pytest.mark.parametrize(
    "change",
    [{"password": "wrong"}, {"user": ""}, {"tls": None}, {"mechanism": "PLAIN"}],
    ids=["password", "anonymous", "clear", "plain"],
)
async def test_another_client_is_refused(users: Config, change: dict) -> None:
    who = replace(replace(users, user="ingress").bootstrap, **change)
    client = AIOKafkaClient(**who.options, request_timeout_ms=2000)
    with pytest.raises(KafkaError):
        await client.bootstrap()
    await client.close()


@pytest.mark.kafka
async def test_setup_is_stopped_if_its_user_may_not_make_users_or_access_lists(
    users: Config,
) -> None:
    """A user without rights on the cluster."""
    topics = TopicsConfig(bootstrap=replace(users, user="ingress").bootstrap)
    with pytest.raises(Fatal, match="ingress may not make users"):
        await ensure_users(topics, {"other": "x"})
    with pytest.raises(Fatal, match="ingress may not change access lists"):
        await ensure_access(topics)


@pytest.mark.kafka
async def test_access_lists_of_other_users_of_the_cluster_stay(users: Config) -> None:
    topics = topics_config(replace(users, user=SETUP))
    theirs = Grant("reports", AclOperation.READ, ResourceKind.TOPIC, "figures")
    await _add(topics, theirs)
    await ensure_access(topics)
    assert theirs.user in await _principals(topics)


@pytest.mark.kafka
async def test_a_topic_with_fewer_replicas_than_asked_for_stops_the_start(users: Config) -> None:
    topics = topics_config(replace(users, user=SETUP))
    work = topic("few.replicas", ())
    admin = AIOKafkaAdminClient(**topics.bootstrap.options)
    await admin.start()
    await admin.create_topics([NewTopic(work.name, topics.partitions, 1)])
    await admin.close()
    three = replace(topics, replicas=3, min_in_sync=2)
    with pytest.raises(WrongTopic, match=r"replication\.factor is 1, expected 3"):
        await ensure_topics(three, MemorySettings(), topics=(work,))
    with pytest.raises(BrokerUnavailable, match="InvalidReplicationFactor"):
        await ensure_topics(three, MemorySettings(), topics=(topic("no.room", ()),))


def actual(replicas: int, **changed: str) -> ActualTopic:
    """WORK as it is made, with `changed` settings; `_` stands for a dot."""
    settings = required_settings(WORK, CLUSTER) | {
        name.replace("_", "."): value for name, value in changed.items()
    }
    return ActualTopic(CLUSTER.partitions, replicas, {n: (v, 1) for n, v in settings.items()})


@pytest.mark.parametrize(
    ("topic_", "found"),
    [
        (actual(3), []),
        (actual(5, min_insync_replicas="3"), []),
        (actual(3, min_insync_replicas="1"), ["min.insync.replicas is 1, expected 2"]),
        (actual(3, min_insync_replicas="4"), ["min.insync.replicas is 4, expected 2"]),
        (actual(1), ["replication.factor is 1, expected 3"]),
        (
            actual(3, unclean_leader_election_enable="true"),
            ["unclean.leader.election.enable is true, expected false"],
        ),
        (actual(3, retention_ms="604800000"), ["retention.ms is 604800000, expected -1"]),
    ],
    ids=["as-made", "more", "fewer-in-sync", "never-met", "one-copy", "unclean", "retention"],
)
def test_what_is_safer_than_required_is_no_difference(topic_: ActualTopic, found: list) -> None:
    assert [str(each).partition(": ")[2] for each in differences(WORK, CLUSTER, topic_)] == found


def test_a_cluster_does_not_flush_each_record() -> None:
    one = replace(CLUSTER, replicas=1, min_in_sync=1)
    assert required_settings(WORK, one)["flush.messages"] == "1"
    assert "flush.messages" not in required_settings(WORK, CLUSTER)


def test_workers_use_the_same_login_as_other_clients(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    settings = {
        "POSTRIVER_HOME": str(tmp_path / "home"),
        "POSTRIVER_KAFKA": f"kafka://boss@a.example,b.example?tls=1&ca={made.certificate}",
        "POSTRIVER_KAFKA_PASSWORD_FILE": str(file),
    }
    secret(StateFolder(tmp_path / "home"), "scan")
    config = load(settings)
    assert (config.kafka_replicas, topics_config(config).replicas) == ((3, 2), 3)
    scan = replace(config, user="scan").bootstrap
    assert scan.servers == "a.example:9092,b.example:9092"
    found = credentials(scan)
    assert found is not None
    assert (found.protocol.value, found.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (found.username, found.ssl_context) == ("scan", scan.tls)
    setup = replace(config, user=SETUP).bootstrap
    assert (setup.user, setup.password) == ("boss", PASSWORD)
    assert PASSWORD not in repr(setup)


async def _add(config: TopicsConfig, grant: Grant) -> None:
    client = AIOKafkaClient(**config.bootstrap.options)
    await client.bootstrap()
    await _create(client, [_row(grant)])
    await client.close()


async def _principals(config: TopicsConfig) -> set[str]:
    client = AIOKafkaClient(**config.bootstrap.options)
    await client.bootstrap()
    answer = await client.send(client.get_random_node(), _Describe())
    await client.close()
    return {entry[0].removeprefix("User:") for *_, entries in answer.resources for entry in entries}
