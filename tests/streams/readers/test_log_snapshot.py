"""Log snapshot: complete export, and restore unchanged and in order."""

import time
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from mail.errors import Fatal
from mail.ids import new_id
from operations.dead_letters import list_newest, redrive
from schemas.dead_letters import DeadLetter
from schemas.events.mailbox_events import Position
from streams.config import PublisherConfig
from streams.dead_letters.parking import park
from streams.log_client import LogClient
from streams.origin_header import header_of, origins_in
from streams.publisher import KafkaPublisher
from streams.readers import log_snapshot
from streams.topology import BY_NAME, DEAD_LETTERS
from tests.support.event_builders import validated
from tests.support.log import commit, fresh, make

pytestmark = pytest.mark.kafka
TOPIC = "mail.validated"


@pytest.fixture
async def publisher(broker, admin):
    await make(admin, TOPIC, DEAD_LETTERS, "mail.received")
    made = KafkaPublisher(PublisherConfig(bootstrap=broker.bootstrap, linger_ms=0))
    await made.start()
    yield made
    await made.stop()


async def ends(broker) -> dict[tuple[str, int], int]:
    async with AIOKafkaConsumer(**broker.bootstrap.options) as consumer:
        parts = [TopicPartition(TOPIC, number) for number in range(3)]
        return {(part.topic, part.partition): at for part, at in
                (await consumer.end_offsets(parts)).items()}  # fmt: skip


async def taken(broker, groups) -> list[log_snapshot.UnconsumedRecord]:
    first = await log_snapshot.first_unconsumed(broker.bootstrap, groups=groups)
    return [one async for one in log_snapshot.export(broker.bootstrap, first)]


async def test_unconsumed_records_are_exported_in_order(broker, publisher):
    group = fresh("waiting")
    await publisher.publish(*[validated(new_id()) for _ in range(20)])
    await commit(broker.bootstrap, group, await ends(broker))
    ids = [new_id() for _ in range(30)]
    await publisher.publish(*[validated(id_) for id_ in ids])
    found = [one for one in await taken(broker, {group: [TOPIC]}) if one.topic == TOPIC]
    assert sorted(one.key.decode() for one in found) == sorted(ids)
    assert all(one.value for one in found)
    everything = await taken(broker, {fresh("never"): [TOPIC]})  # no commit: from the beginning
    assert {one.key for one in found} < {one.key for one in everything}


async def test_the_group_furthest_behind_decides(broker, publisher):
    fast, slow = fresh("waiting"), fresh("waiting")
    await commit(broker.bootstrap, slow, await ends(broker))
    ids = {new_id().encode() for _ in range(10)}
    await publisher.publish(*[validated(id_.decode()) for id_ in ids])
    await commit(broker.bootstrap, fast, await ends(broker))
    found = await taken(broker, {fast: [TOPIC], slow: [TOPIC]})
    assert {one.key for one in found if one.topic == TOPIC} == ids
    assert {"mail.received", "mailbox.commands"} <= {
        t for g in log_snapshot.reading_groups().values() for t in g
    }


async def test_dead_letters_are_restored_to_their_partitions_once(
    broker, publisher, tmp_path: Path
):
    key = new_id().encode()
    await park(publisher, a_letter(key))
    (parked,) = [one for one in await newest(broker) if one.letter and one.letter.key == key]
    await redrive(broker.bootstrap, [parked.id])
    everything = await letters(broker)
    partition = int(parked.id.partition("-")[0])
    mine = [one for one in everything if one.partition == partition]
    assert mine[int(parked.id.partition("-")[2])].key == key
    assert mine[-1].value is None  # the mark

    async def once_more():
        for one in everything:
            yield one
        yield log_snapshot.UnconsumedRecord("mail.received", key, b"bytes")

    counts = await log_snapshot.write(tmp_path / "records", once_more())
    assert counts[DEAD_LETTERS] < len(everything)
    assert (
        await log_snapshot.restore(broker.bootstrap, publisher, tmp_path / "records", epochs={})
        == 1
    )
    assert await letters(broker) == everything


async def letters(broker) -> list[log_snapshot.UnconsumedRecord]:
    """Return the records of dead.letters by partition, in order within a partition."""
    found = [one for one in await taken(broker, {}) if one.topic == DEAD_LETTERS]
    return sorted(found, key=lambda one: one.partition)


async def newest(broker):
    return await list_newest(broker.bootstrap, 100)


def a_letter(key: bytes) -> DeadLetter:
    return DeadLetter(
        topic="mail.received", partition=0, offset=3, stage="validate", cause="odd",
        attempt=1, at_ms=time.time_ns() // 1_000_000, key=key, value=b"bytes",
    )  # fmt: skip


async def test_a_restore_publishes_the_exported_records(broker, publisher, tmp_path: Path):
    group = fresh("waiting")
    await commit(broker.bootstrap, group, await ends(broker))
    key = new_id()
    await publisher.publish(*[validated(key) for _ in range(250)], validated(new_id()))
    before = [one for one in await taken(broker, {group: [TOPIC]}) if one.topic == TOPIC]

    async def written():
        for one in before:
            yield one

    assert await log_snapshot.write(tmp_path / "records", written()) == {TOPIC: 251}
    await commit(broker.bootstrap, group, await ends(broker))
    epochs = {TOPIC: "1:old"}
    path = tmp_path / "records"
    assert await log_snapshot.restore(broker.bootstrap, publisher, path, epochs=epochs) == 251
    after = [one for one in await taken(broker, {group: [TOPIC]}) if one.topic == TOPIC]
    assert [bytes_of(one) for one in after if one.key == key.encode()] == [
        bytes_of(one) for one in before if one.key == key.encode()
    ]
    assert len(after) == 251
    places = {Position("1:old", *one.stood_at) for one in before if one.stood_at}
    assert {position for one in after for position in origins_in(one.headers)} == places


def bytes_of(one: log_snapshot.UnconsumedRecord) -> tuple[bytes | None, bytes | None]:
    return one.key, one.value


def test_a_backup_of_an_older_version_has_no_positions(tmp_path: Path) -> None:
    raw = msgspec.msgpack.encode(["mail.received", b"k", b"v", [["name", b"x"]], None])
    (tmp_path / "records").write_bytes(len(raw).to_bytes(4, "big") + raw)
    (found,) = log_snapshot.read(tmp_path / "records")
    assert (found.stood_at, found.headers) == (None, (("name", b"x"),))


def test_an_origin_header_is_parsed_as_it_is_formatted() -> None:
    first, second = Position("1:a-b", 3, 0), Position("1767225600:c", 11, 2**40)
    headers = [header_of(first), ("other", b"1/2/3"), header_of(second)]
    assert origins_in(headers) == (first, second)
    for value in (b"", b"1:a", b"1:a/x/3", b"/1/2", b"1:a/1/-2", b"\xff/\xff", None):
        assert origins_in([("put-back-from", value)]) == ()


async def test_a_log_trimmed_during_the_export_raises(broker, publisher):
    group = fresh("waiting")
    await commit(broker.bootstrap, group, await ends(broker))
    await publisher.publish(*[validated(new_id()) for _ in range(50)])
    first = await log_snapshot.first_unconsumed(broker.bootstrap, groups={group: [TOPIC]})
    reading = log_snapshot.export(broker.bootstrap, first)
    assert (await anext(reading)).topic in BY_NAME
    async with LogClient(broker.bootstrap) as log:
        await log.delete_before({TopicPartition(*part): at for part, at in
                                 (await ends(broker)).items()})  # fmt: skip
    with pytest.raises(log_snapshot.SnapshotTrimmed, match="trimmed while it was read"):
        _ = [one async for one in reading]


async def test_an_unknown_topic_is_named(tmp_path: Path):
    async def foreign():
        yield log_snapshot.UnconsumedRecord("mail.of_the_future", b"k", b"v")

    await log_snapshot.write(tmp_path / "records", foreign())
    with pytest.raises(Fatal, match=r"no topic mail\.of_the_future here"):
        list(log_snapshot.read(tmp_path / "records"))


async def test_a_log_with_records_is_not_new(broker, publisher):
    await publisher.publish(validated(new_id()))
    assert await log_snapshot.first_written(broker.bootstrap) in BY_NAME
