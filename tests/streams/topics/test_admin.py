import asyncio
import itertools
import logging
import os

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from mail.errors import BrokerUnavailable
from streams.config import Bootstrap, TopicsConfig
from streams.topics.admin import WrongTopic, ensure_topics, wait_for_topics
from streams.topics.epochs import counter_of, epoch_of
from streams.topics.settings import required_settings
from streams.topology import COMPACT, DEAD_LETTERS, SEGMENT_BYTES, STAGES, TOPICS
from tests.streams.conftest import MemorySettings
from tests.streams.small import topic

pytestmark = pytest.mark.kafka
_numbers = itertools.count()
YEAR_2020_S = 1_577_836_800


def fresh() -> str:
    return f"topics.{os.getpid()}.{next(_numbers)}"


@pytest.fixture
async def admin(broker):
    client = AIOKafkaAdminClient(**broker.bootstrap.options)
    await client.start()
    yield client
    await client.close()


async def settings_of(admin, name: str) -> dict[str, str]:
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


async def delete(admin, name: str) -> None:
    await admin.delete_topics([name])
    while name in await admin.list_topics():
        await asyncio.sleep(0.05)


async def test_topics_are_made_with_their_settings(admin, topics_config) -> None:
    work, changelog = topic(fresh(), ()), topic(fresh(), (), settings=dict(COMPACT))
    await ensure_topics(topics_config, MemorySettings(), topics=(work, changelog))
    found = await settings_of(admin, work.name)
    assert found["retention.ms"] == found["retention.bytes"] == "-1"
    assert (found["cleanup.policy"], found["flush.messages"]) == ("delete", "1")
    assert int(found["max.message.bytes"]) > 2 * 1024 * 1024
    assert (await settings_of(admin, changelog.name))["cleanup.policy"] == "compact"


def test_topics_with_a_reader_are_flushed_to_disk(topics_config) -> None:
    flushed = {
        one.name for one in TOPICS if "flush.messages" in required_settings(one, topics_config)
    }
    assert flushed >= {stage.reads for stage in STAGES} | {DEAD_LETTERS}


async def test_a_lost_setting_is_repaired_and_logged(admin, topics_config, caplog) -> None:
    work = topic(fresh(), ())
    of_its_own = {"retention.ms": "1000", "segment.bytes": "1073741824"}
    made = NewTopic(work.name, 3, 1, topic_configs={**of_its_own, "file.delete.delay.ms": "9"})
    await admin.create_topics([made])
    with caplog.at_level(logging.WARNING):
        await ensure_topics(topics_config, MemorySettings(), topics=(work,))
    found = await settings_of(admin, work.name)
    assert (found["retention.ms"], found["segment.bytes"]) == ("-1", str(SEGMENT_BYTES))
    assert found["file.delete.delay.ms"] == "9", "what the table does not name stays"
    assert f"topic {work.name}: retention.ms is 1000, expected -1: repaired" in caplog.text


async def test_a_difference_that_cannot_be_repaired_stops_the_start(admin, topics_config) -> None:
    compacted, narrow = topic(fresh(), ()), topic(fresh(), ())
    await admin.create_topics(
        [
            NewTopic(compacted.name, 3, 1, topic_configs={"cleanup.policy": "compact"}),
            NewTopic(narrow.name, 2, 1),
        ]
    )
    with pytest.raises(WrongTopic, match=r"cleanup\.policy is compact, expected delete"):
        await ensure_topics(topics_config, MemorySettings(), topics=(compacted,))
    with pytest.raises(WrongTopic, match="partitions is 2, expected 3"):
        await ensure_topics(topics_config, MemorySettings(), topics=(narrow,))


async def test_an_epoch_lasts_as_long_as_its_topic(admin, topics_config) -> None:
    work, facts = topic(fresh(), ()), MemorySettings()
    first = await ensure_topics(topics_config, facts, topics=(work,))
    assert await ensure_topics(topics_config, facts, topics=(work,)) == first
    assert await wait_for_topics(topics_config, facts, topics=(work,)) == first
    await delete(admin, work.name)
    second = await ensure_topics(topics_config, facts, topics=(work,))
    assert second != first
    assert await epoch_of(facts, work.name) == second[work.name]
    await delete(
        admin, work.name
    )  # and created again with the first epoch stored, as after two restores of a backup
    restored = MemorySettings()
    restored.values[f"epoch:{work.name}"] = first[work.name]
    third = await ensure_topics(topics_config, restored, topics=(work,))
    counters = [counter_of(epochs[work.name]) for epochs in (first, second, third)]
    assert counters[0] == 1
    assert counters == sorted(counters)
    assert counters[1] > YEAR_2020_S
    assert len({epochs[work.name] for epochs in (first, second, third)}) == 3


async def test_waiting_ends_with_the_new_epoch_and_never_with_the_old(admin, topics_config) -> None:
    work, facts = topic(fresh(), ()), MemorySettings()
    first = await ensure_topics(topics_config, facts, topics=(work,))
    await delete(admin, work.name)
    waiting = asyncio.create_task(wait_for_topics(topics_config, facts, topics=(work,)))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    second = await ensure_topics(topics_config, facts, topics=(work,))
    assert await asyncio.wait_for(waiting, 30) == second != first


async def test_no_broker_is_unavailable() -> None:
    with pytest.raises(BrokerUnavailable):
        await ensure_topics(TopicsConfig(bootstrap=Bootstrap("127.0.0.1:1")), MemorySettings())
