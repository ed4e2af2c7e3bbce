import asyncio
import contextlib

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from mail.errors import BrokerUnavailable
from streams.config import Bootstrap
from streams.readers import lag
from streams.readers.backlog_gate import BacklogGate, GateConfig, low_disk
from streams.readers.lag import LagMeter, lags
from tests.support.log import commit, fresh, make
from tests.support.waiting import until


async def fill(producer, topic: str, *, each: int, partitions: int = 3) -> None:
    for partition in range(partitions):
        for _ in range(each):
            await producer.send(topic, b"x", partition=partition)
    await producer.flush()


def test_groups_follow_the_topology():
    assert sorted(lag.all_groups()["postriver-intake"]) == [
        "mail.received", "mail.rejected", "mail.scanned", "mail.submissions", "mail.submitted",
    ]  # fmt: skip
    assert lag.all_groups("p-")["p-index"] == ["mailbox.events"]
    assert "postriver-index" not in lag.mail_groups(), "an event that waits is no mail that waits"
    assert lag.mail_groups()["postriver-mailbox"] == ["mailbox.commands"]


@pytest.mark.kafka
async def test_lag_is_what_the_group_has_not_committed_of_what_is_there(broker, admin, producer):
    topic, group, other = fresh("work"), fresh("group"), fresh("group")
    await make(admin, topic)
    await fill(producer, topic, each=10)
    asked = {group: [topic, "no.such.topic"], other: [topic]}
    whole = {group: {topic: 30, "no.such.topic": 0}, other: {topic: 30}}
    assert await lags(broker.bootstrap, asked) == whole

    await commit(broker.bootstrap, group, {(topic, 0): 10, (topic, 1): 4})
    assert (await lags(broker.bootstrap, asked))[group][topic] == 0 + 6 + 10
    await admin.delete_records({TopicPartition(topic, 2): RecordsToDelete(before_offset=7)})
    assert (await lags(broker.bootstrap, asked))[group][topic] == 0 + 6 + 3
    await commit(broker.bootstrap, group, {(topic, 0): 99})  # of a log that is no more
    assert await lags(broker.bootstrap, asked) == {
        group: {topic: 10 + 6 + 3, "no.such.topic": 0},
        other: {topic: 23},
    }


@contextlib.asynccontextmanager
async def gate(broker, config: GateConfig):
    meter = LagMeter(broker.bootstrap, timeout_s=5.0)
    await meter.start()
    made = BacklogGate(meter, config)
    await made.start()
    try:
        yield made, meter
    finally:
        await made.stop()
        await meter.stop()


@pytest.mark.kafka
async def test_the_gate_closes_on_a_long_backlog_and_not_on_a_broker_that_is_away(
    broker, admin, producer, tmp_path
):
    topic, group = fresh("work"), fresh("group")
    await make(admin, topic)
    await fill(producer, topic, each=2)
    config = GateConfig(
        folder=tmp_path,
        backlog_max_mails=5,
        disk_min_bytes=0,
        refresh_interval_s=0.2,
        groups_topics={group: [topic]},
    )
    async with gate(broker, config) as (made, meter):
        await until(lambda: made.closed() == "backlog: 6 mails wait, the limit is 5")
        await commit(broker.bootstrap, group, {(topic, 0): 1})
        await until(lambda: made.closed() is None)
        await commit(broker.bootstrap, group, {(topic, 0): 0})
        await until(lambda: made.closed() is not None)
        await asyncio.to_thread(broker.stop)
        await until(lambda: made.closed() is None)
        with pytest.raises(BrokerUnavailable):
            await meter.read(config.groups_topics)
        await asyncio.to_thread(broker.start)
        await until(lambda: made.closed() == "backlog: 6 mails wait, the limit is 5")


def test_low_disk_is_below_the_smaller_of_both_limits(tmp_path):
    def why(least_bytes: int, share: float) -> str | None:
        return low_disk(
            GateConfig(folder=tmp_path, disk_min_bytes=least_bytes, disk_min_share=share)
        )

    huge = 2**62
    assert why(huge, 0.0) is None
    assert why(0, 1.0) is None
    assert "low disk" in (why(huge, 2.0) or ""), "no disk is free to twice its size"


async def test_the_gate_knows_the_disk_as_soon_as_it_is_started(tmp_path):
    config = GateConfig(folder=tmp_path, disk_min_bytes=2**62, disk_min_share=2.0)
    made = BacklogGate(LagMeter(Bootstrap("127.0.0.1:1")), config)
    assert made.closed() is None
    await made.start()
    try:
        assert str(tmp_path) in (made.closed() or "")
    finally:
        await made.stop()
