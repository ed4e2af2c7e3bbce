"""What waits in the log: taken whole, put back unchanged and in order."""

import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from mail.errors import Fatal
from mail.ids import new_id
from schemas.records import DeadLetter
from streams import waiting
from streams.config import PublisherConfig
from streams.dead_letter_box import list_dead, redrive
from streams.dead_letters import park
from streams.log_client import LogClient
from streams.publisher import KafkaPublisher
from streams.topology import BY_NAME, DEAD_LETTERS
from tests.river_tools.conftest import commit, fresh, make
from tests.river_tools.made import validated

pytestmark = pytest.mark.kafka
TOPIC = "mail.validated"


@pytest.fixture
async def river(broker, admin):
    await make(admin, TOPIC, DEAD_LETTERS, "mail.received")
    made = KafkaPublisher(PublisherConfig(bootstrap=broker.bootstrap, linger_ms=0))
    await made.start()
    yield made
    await made.stop()


async def ends(broker) -> dict[tuple[str, int], int]:
    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap) as consumer:
        parts = [TopicPartition(TOPIC, number) for number in range(3)]
        return {(part.topic, part.partition): at for part, at in
                (await consumer.end_offsets(parts)).items()}  # fmt: skip


async def taken(broker, groups) -> list[waiting.Waiting]:
    return [one async for one in waiting.take(broker.bootstrap, groups=groups)]


async def test_what_is_committed_stays_and_what_waits_is_taken_in_order(broker, river):
    group = fresh("waiting")
    await river.publish(*[validated(new_id()) for _ in range(20)])
    await commit(broker.bootstrap, group, await ends(broker))
    ids = [new_id() for _ in range(30)]
    await river.publish(*[validated(id_) for id_ in ids])
    found = [one for one in await taken(broker, {group: [TOPIC]}) if one.topic == TOPIC]
    assert sorted(one.key.decode() for one in found) == sorted(ids)
    assert all(one.value for one in found)
    everything = await taken(broker, {fresh("never"): [TOPIC]})  # no commit: from the beginning
    assert {one.key for one in found} < {one.key for one in everything}


async def test_dead_letters_are_taken_unless_they_were_sent_back(broker, river):
    keys = [new_id().encode() for _ in range(2)]
    for key in keys:
        await park(river, a_letter(key))
    letters = {one.letter.key: one.id for one in await list_dead(broker.bootstrap, 100)}
    await redrive(broker.bootstrap, [letters[keys[0]]])
    found = [one for one in await taken(broker, {}) if one.key in keys]
    assert [one.key for one in found] == [keys[1]]
    assert dict(found[0].headers)["cause"] == b"odd"


def a_letter(key: bytes) -> DeadLetter:
    return DeadLetter(
        topic="mail.received", partition=0, offset=3, stage="validate", cause="odd",
        attempt=1, at_ms=time.time_ns() // 1_000_000, key=key, value=b"bytes",
    )  # fmt: skip


async def test_what_is_put_back_is_what_was_taken(broker, river, tmp_path: Path):
    group = fresh("waiting")
    await commit(broker.bootstrap, group, await ends(broker))
    key = new_id()
    await river.publish(*[validated(key) for _ in range(250)], validated(new_id()))
    before = [one for one in await taken(broker, {group: [TOPIC]}) if one.topic == TOPIC]

    async def written():
        for one in before:
            yield one

    assert await waiting.write(tmp_path / "records", written()) == {TOPIC: 251}
    await commit(broker.bootstrap, group, await ends(broker))
    assert await waiting.put_back(river, tmp_path / "records") == 251
    after = [one for one in await taken(broker, {group: [TOPIC]}) if one.topic == TOPIC]
    assert [one for one in after if one.key == key.encode()] == [
        one for one in before if one.key == key.encode()
    ]
    assert len(after) == 251


async def test_a_log_trimmed_under_our_hands_is_told(broker, river):
    group = fresh("waiting")
    await commit(broker.bootstrap, group, await ends(broker))
    await river.publish(*[validated(new_id()) for _ in range(50)])
    reading = waiting.take(broker.bootstrap, groups={group: [TOPIC]})
    first = await anext(reading)
    assert first.topic in BY_NAME
    async with LogClient(broker.bootstrap) as log:
        await log.delete_before({TopicPartition(*part): at for part, at in
                                 (await ends(broker)).items()})  # fmt: skip
    with pytest.raises(waiting.Trimmed, match="trimmed while it was read"):
        _ = [one async for one in reading]


async def test_a_topic_that_we_have_not_is_named(tmp_path: Path):
    async def foreign():
        yield waiting.Waiting("mail.of_the_future", b"k", b"v")

    await waiting.write(tmp_path / "records", foreign())
    with pytest.raises(Fatal, match=r"no topic mail\.of_the_future here"):
        list(waiting.read(tmp_path / "records"))
