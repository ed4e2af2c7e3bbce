"""An assignment gives all partitions, however late the broker knows topics or answers."""

import asyncio
import os
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from streams.config import Bootstrap, StreamsConfig
from streams.topics.admin import ensure_topics
from streams.worker.assignment_lease import AssignmentLease
from streams.worker.consumer import assigning_known_topics
from streams.worker.recovery import PatientRecovery
from streams.worker.worker import make_app
from tests.streams.conftest import MemorySettings
from tests.streams.small import SmallTopology
from tests.support.broker import Broker
from tests.support.waiting import until


@pytest.mark.kafka
async def test_a_topic_that_the_broker_does_not_know_yet_is_waited_for(
    broker: Broker, topics_config, caplog
) -> None:
    topology = SmallTopology(f"late{os.getpid()}")
    consumer = AIOKafkaConsumer(**broker.bootstrap.options, group_id=topology.role)
    await consumer.start()
    try:
        coordinator = consumer._coordinator
        coordinator._perform_assignment = assigning_known_topics(coordinator)
        consumer.subscribe([topology.notes.name])
        await until(lambda: "does not know" in caplog.text)
        assert not consumer.assignment()
        await ensure_topics(topics_config, MemorySettings(), topics=topology.topics)
        await until(lambda: len(consumer.assignment()) == topics_config.partitions)
    finally:
        await consumer.stop()


@pytest.mark.kafka
async def test_a_consumer_that_waits_for_a_topic_can_be_stopped(broker: Broker, caplog) -> None:
    consumer = AIOKafkaConsumer(**broker.bootstrap.options, group_id=f"never{os.getpid()}")
    await consumer.start()
    coordinator = consumer._coordinator
    coordinator._perform_assignment = assigning_known_topics(coordinator)
    consumer.subscribe([f"never{os.getpid()}"])
    await until(lambda: "does not know" in caplog.text)
    async with asyncio.timeout(20):
        await consumer.stop()


async def test_recovery_waits_longer_than_the_limit_of_one_request(tmp_path: Path) -> None:
    config = StreamsConfig(bootstrap=Bootstrap("127.0.0.1:1"), worker="w", data_folder=tmp_path)
    recovery = make_app("slow", config, AssignmentLease(1)).tables.recovery
    assert isinstance(recovery, PatientRecovery)
    answered = asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, answered.set)
    await recovery._wait(answered.wait(), timeout=0.01)
    assert answered.is_set()
