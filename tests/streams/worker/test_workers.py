"""Workers as processes on a real broker: every outcome of an event, without loss."""

import asyncio
import os
import random
import signal
import time

import pytest

from schemas.events.mailbox_events import Position
from streams.config import PublisherConfig
from streams.origin_header import header_of
from streams.publisher import KafkaPublisher
from tests.streams.small import Note

pytestmark = pytest.mark.kafka


async def test_notes_are_answered_and_committed(make_workers, put) -> None:
    workers = await make_workers()
    process = workers.start()
    await put(workers, *(Note(key=f"k{n % 5}", number=n) for n in range(50)))
    answers = await workers.until_answered(50)
    assert len(answers) == 50
    assert all(answer.attempt == 1 for answer in answers)
    process.terminate()
    assert process.wait(30) == 0
    assert await workers.committed() == 50


async def test_a_restored_record_has_its_origins(make_workers, put) -> None:
    workers = await make_workers()
    workers.start()
    origins = (Position("1:a", 2, 9), Position("2:b", 2, 0))
    await put(workers, Note(key="k", number=1), headers=[header_of(each) for each in origins])
    (answer,) = await workers.until_answered(1)
    assert answer.origins == origins


async def test_a_hold_longer_than_every_buffer_loses_nothing(make_workers, put) -> None:
    """The window, the buffer and Faust's own buffer fill in turn; the rest stays in the log."""
    workers = await make_workers()
    process = workers.start(config={"buffer_max_events": 40, "poll_max_records": 30})
    workers.gate.touch()
    notes = [Note(key=f"k{n % 7}", number=n, word=f"wait:{workers.gate}") for n in range(1500)]
    await put(workers, *notes)
    await workers.until(lambda: len(workers.status(process)["held"]) == 3)
    began_s, renewed_ms = time.monotonic(), workers.status(process)["renewed_ms"]
    await workers.until(lambda: time.monotonic() - began_s > 3)
    held = workers.status(process)["held"][0]
    assert (held["stage"], held["engine"]) == ("answer", "gate")
    assert workers.status(process)["renewed_ms"] > renewed_ms  # by heartbeats
    workers.gate.unlink()
    answers = await workers.until_answered(1500)
    assert {answer.number for answer in answers} == set(range(1500))
    await workers.until(lambda: not workers.status(process)["held"])


async def test_keys_stay_in_order_over_holds(make_workers, put) -> None:
    workers = await make_workers(ordered=True, in_flight=32)
    process = workers.start()
    workers.gate.touch()
    words = ["", f"wait:{workers.gate}", "slow:20", ""]
    await put(workers, *(Note(key=f"k{n % 4}", number=n, word=words[n % 3]) for n in range(120)))
    await workers.until(lambda: workers.status(process)["held"])
    workers.gate.unlink()
    await workers.until_answered(120)
    published = [(line["key"], line["number"]) for line in workers.lines("published")]
    for key in range(4):
        numbers = [number for name, number in published if name == f"k{key}"]
        assert numbers == sorted(numbers)


async def test_a_second_worker_joins_a_held_one(make_workers, put) -> None:
    workers = await make_workers()
    first = workers.start()
    workers.gate.touch()
    word = f"wait:{workers.gate}"
    await put(workers, *(Note(key=f"k{n}", number=n, word=word) for n in range(300)))
    await workers.until(lambda: len(workers.status(first)["held"]) == 3)
    second = workers.start()
    both = (first, second)
    await workers.until(
        lambda: sorted(workers.status(each)["partitions"] for each in both) == [1, 2]
    )
    await workers.until(lambda: all(workers.status(each)["held"] for each in both))
    assert [workers.status(each)["unhealthy"] for each in both] == [None, None]
    workers.gate.unlink()
    answers = await workers.until_answered(300)
    assert len(answers) == 300
    assert {line["pid"] for line in workers.lines("published")} == {first.pid, second.pid}


async def test_events_that_run_at_a_revoke_are_repeated_by_the_new_owner(make_workers, put) -> None:
    """Handlers that run while a worker joins are cancelled; the new owner handles their events."""
    workers = await make_workers(in_flight=4)
    first = workers.start()
    await workers.ready(first)
    await put(workers, *(Note(key=f"k{n}", number=n, word="slow:6000") for n in range(12)))
    await workers.until(lambda: len(workers.lines("begin")) >= 8)
    second = workers.start()
    await workers.until(lambda: workers.status(second)["partitions"] > 0)
    answers = await workers.until_answered(12)
    assert len(answers) == 12  # a cancelled handler publishes nothing
    assert len(workers.lines("begin")) > 12
    await workers.until(lambda: workers.status(first)["lag"] == 0)
    assert await workers.committed() == 12


async def test_poison_is_parked_and_the_partition_goes_on(make_workers, put, broker) -> None:
    workers = await make_workers()
    workers.start()
    words = ["poison", "unexpected:99", "cancelled", "big", "stray", "unexpected:4", ""]
    await put(workers, *(Note(key="k", number=n, word=word) for n, word in enumerate(words)))
    raw = KafkaPublisher(PublisherConfig(bootstrap=broker.bootstrap))
    await raw.start()
    await raw.publish_raw(workers.topology.notes.name, b"k", b"\xff no event", [])
    await raw.publish_raw(workers.topology.notes.name, b"k", None, [])
    await raw.stop()
    await put(workers, Note(key="k", number=7))
    answers = await workers.until_answered(3)
    assert sorted((answer.number, answer.attempt) for answer in answers) == [(5, 5), (6, 1), (7, 1)]
    letters = {each.offset: each for each in await workers.dead()}
    assert sorted(letters) == [0, 1, 2, 3, 4, 7, 8]
    assert [letters[n].attempt for n in (0, 1, 2)] == [1, 5, 5]
    assert letters[7].value == b"\xff no event"
    assert "no topic carries Stray" in letters[4].cause


async def test_fatal_ends_the_process_without_an_ack(make_workers, put) -> None:
    workers = await make_workers()
    mended = workers.folder / "mended"
    first = workers.start()
    await put(workers, Note(key="k", number=0))
    await workers.until_answered(1)
    await put(workers, Note(key="k", number=1, word=f"fatal:{mended}"), Note(key="k", number=2))
    assert await asyncio.to_thread(first.wait, 60) not in (0, -9)
    assert "Fatal: over" in workers.errors()
    assert await workers.committed() == 1
    mended.touch()
    workers.start()
    answers = await workers.until_answered(3)
    assert {answer.number for answer in answers} == {0, 1, 2}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_worker_survives_its_broker(make_workers, put, own_broker, how) -> None:
    workers = await make_workers(own_broker)
    process = workers.start(publish_limit_s=2.0)
    await put(workers, *(Note(key=f"k{n}", number=n, word="slow:200") for n in range(100)))
    await workers.until(lambda: len(workers.lines("published")) > 20)
    await asyncio.to_thread(own_broker.stop, how)
    await asyncio.sleep(5)
    await asyncio.to_thread(own_broker.start)
    if process.poll() is not None:  # the supervisor's part
        print("the worker ended with", process.returncode)
        process = workers.start(publish_limit_s=2.0)
    await workers.until_answered(100)
    await put(workers, *(Note(key=f"k{n}", number=n) for n in range(100, 110)))
    await workers.until_answered(110)


async def test_kill_9_loses_nothing(make_workers, put) -> None:
    seed = int(os.environ.get("POSTRIVER_SEED") or random.randrange(2**32))
    print(f"POSTRIVER_SEED={seed}")
    chance = random.Random(seed)
    workers = await make_workers(ordered=True, in_flight=16)
    count, at_work = 600, [workers.start(), workers.start()]
    for number in range(count):
        word = chance.choice(["", "", f"slow:{chance.randrange(40)}"])
        await put(workers, Note(key=f"k{chance.randrange(20)}", number=number, word=word))
        if number % 150 == 149:
            victim = at_work.pop(chance.randrange(2))
            victim.kill()
            at_work.append(workers.start())
    answers = await workers.until_answered(count, within_s=120)
    print(f"{len(answers) - count} of {count} repeated")
    assert {answer.number for answer in answers} == set(range(count)), f"POSTRIVER_SEED={seed}"
    assert await workers.dead() == []
