"""Events that kill their worker, and requests of operators to park an event, on a real broker."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from mail.errors import Refused
from streams.config import Bootstrap, TopicsConfig
from streams.dead_letters import park_requests, set_aside
from streams.dead_letters.set_aside import RecordPosition
from streams.topics.admin import ensure_topics
from streams.topology import GROUP_PREFIX, TOPICS
from tests.streams.conftest import MemorySettings
from tests.streams.small import Note

pytestmark = pytest.mark.kafka
KEY = "one"  # all notes in one partition


async def ended(workers, **more) -> int:
    return await asyncio.to_thread(workers.start(**more).wait, 60)


async def test_an_event_that_kills_its_worker_is_parked_and_its_neighbours_are_not(
    make_workers, put
) -> None:
    workers = await make_workers()
    words = [""] * 5 + ["die"] + ["slow:100"] * 20
    await put(workers, *(Note(key=KEY, number=n, word=word) for n, word in enumerate(words)))
    for _ in range(3):  # with others, then alone twice
        assert await ended(workers) == -9
    workers.start()
    answers = await workers.until_answered(len(words) - 1)
    assert 5 not in {answer.number for answer in answers}
    (parked,) = await workers.until_dead(1)
    assert parked.cause.startswith("EndsProcess: ")
    assert parked.offset == 5


async def test_kills_of_a_healthy_worker_park_nothing(make_workers, put) -> None:
    workers = await make_workers(in_flight=4)
    workers.gate.touch()
    notes = [Note(key=KEY, number=n, word=f"wait:{workers.gate}") for n in range(3)]
    notes += [Note(key=f"k{n}", number=n, word="slow:700") for n in range(3, 30)]
    await put(workers, *notes)
    for _ in range(2):
        process = workers.start()
        before = len(workers.lines("begin"))
        await workers.until(lambda before=before: len(workers.lines("begin")) > before + 2)
        process.kill()
        process.wait()
    process = workers.start()
    await workers.until(lambda: workers.status(process)["ready"])
    process.terminate()
    await asyncio.to_thread(process.wait, 60)
    workers.gate.unlink()
    workers.start()
    assert len(await workers.until_answered(30, within_s=90.0)) >= 30
    assert await workers.dead() == []


async def test_a_request_ends_a_crash_loop_and_a_hold(make_workers, put) -> None:
    workers = await make_workers()
    name, folder = workers.topology.notes.name, workers.folder / "requests"
    words = ["", "fatal:/nowhere", "", f"wait:{workers.gate}", ""]
    workers.gate.touch()
    await put(workers, *(Note(key=KEY, number=n, word=word) for n, word in enumerate(words)))
    assert await ended(workers) not in (0, -9)
    assert await workers.dead() == []
    process = workers.start()
    assert await asyncio.to_thread(process.wait, 60) not in (0, -9)
    (partition,) = {line["partition"] for line in workers.lines("begin")}
    set_aside.make_request(folder, RecordPosition(name, partition, 1), workers.epochs[name])
    process = workers.start()
    await workers.until(lambda: workers.status(process)["held"])
    (held,) = workers.status(process)["held"]
    assert (held["topic"], held["partition"], held["offset"]) == (name, partition, 3)
    set_aside.make_request(folder, RecordPosition(name, partition, 3), workers.epochs[name])
    answers = await workers.until_answered(3)
    assert {answer.number for answer in answers} == {0, 2, 4}
    parked = await workers.until_dead(2)
    assert [(one.offset, one.cause[:8]) for one in parked] == [(1, "SetAside"), (3, "SetAside")]


async def test_what_cannot_be_set_aside_is_refused(own_broker, tmp_path) -> None:
    facts = MemorySettings()
    await ensure_topics(TopicsConfig(bootstrap=own_broker.bootstrap), facts, topics=TOPICS)
    first = await write_two_and_commit_one(own_broker.bootstrap)  # a new broker makes its group

    async def ask(place: RecordPosition, settings=facts) -> None:
        await park_requests.request(own_broker.bootstrap, settings, tmp_path, place, wait_s=0.1)

    for place, why in (
        (RecordPosition("mail.received", 0, 10**9), "not written yet"),
        (RecordPosition("mail.received", 99, 0), "partitions"),
        (RecordPosition("dead.letters", 0, 0), "no stage reads"),
        (RecordPosition("no.such", 0, 0), "no stage reads"),
    ):
        with pytest.raises(Refused, match=why):
            await ask(place)
    with pytest.raises(Refused, match="never created here"):
        await ask(RecordPosition("mail.received", 0, 0), MemorySettings())
    assert set_aside.requests_in(tmp_path) == {}
    with pytest.raises(Refused, match=f"handled already: its reader goes on at {first + 1}"):
        await ask(RecordPosition("mail.received", 0, first))
    await ask(RecordPosition("mail.received", 0, first + 1))
    epoch = await facts.setting("epoch:mail.received")
    assert set_aside.requests_in(tmp_path) == {RecordPosition("mail.received", 0, first + 1): epoch}


async def write_two_and_commit_one(bootstrap: Bootstrap) -> int:
    """Publish notes; return the offset of the first."""
    part = TopicPartition("mail.received", 0)
    producer = AIOKafkaProducer(**bootstrap.options)
    await producer.start()
    sent = [
        await producer.send_and_wait(part.topic, b"foreign", partition=part.partition)
        for _ in range(2)
    ]
    await producer.stop()
    group = f"{GROUP_PREFIX}intake"
    consumer = AIOKafkaConsumer(**bootstrap.options, group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([part])
    await consumer.commit({part: sent[1].offset})
    await consumer.stop()
    return int(sent[0].offset)


async def test_added_partitions_end_the_worker_with_a_message(make_workers) -> None:
    workers = await make_workers()
    process = workers.start(partitions=2)  # as if there had been two
    assert await asyncio.to_thread(process.wait, 60) not in (0, -9)
    assert "has 3 partitions, this worker expects 2" in workers.errors()
