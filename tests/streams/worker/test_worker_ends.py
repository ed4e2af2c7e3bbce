"""Stops, freezes and health reasons of workers."""

import asyncio
import signal
import time

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from mail.errors import ScannerUnavailable
from streams.config import TopicsConfig
from streams.topics.admin import ensure_topics
from streams.worker.status import RoleStatus
from tests.streams.conftest import MemorySettings
from tests.streams.small import Note

pytestmark = pytest.mark.kafka


async def test_a_held_worker_stops_on_request_and_acknowledges_nothing(make_workers, put) -> None:
    workers = await make_workers()
    process = workers.start(config={"drain_limit_s": 0.5})
    workers.gate.touch()
    word = f"wait:{workers.gate}"
    await put(workers, *(Note(key=f"k{n}", number=n, word=word) for n in range(30)))
    await workers.until(lambda: workers.status(process)["held"])
    process.terminate()
    assert await asyncio.to_thread(process.wait, 60) == 0
    assert await workers.committed() == 0
    workers.gate.unlink()
    workers.start()
    assert len(await workers.until_answered(30)) == 30


async def test_running_events_are_finished_before_a_stop(make_workers, put) -> None:
    workers = await make_workers(in_flight=4)
    process = workers.start()
    await put(workers, *(Note(key="k", number=n, word="slow:1500") for n in range(12)))
    await workers.until(lambda: len(workers.lines("begin")) == 4)
    process.terminate()
    assert await asyncio.to_thread(process.wait, 60) == 0
    assert len(workers.lines("begin")) == len(await workers.answers()) == 4
    assert await workers.committed() == 4


async def test_a_worker_that_was_frozen_and_lost_its_partitions_comes_back(
    make_workers, put
) -> None:
    workers = await make_workers(ordered=True, in_flight=4)
    first, second = workers.start(), workers.start()
    both = (first, second)
    await workers.until(lambda: sum(workers.status(each)["partitions"] for each in both) == 3)
    await put(workers, *(Note(key=f"k{n % 9}", number=n, word="slow:300") for n in range(100)))
    await workers.until(lambda: len(workers.lines("begin")) >= 10)
    first.send_signal(signal.SIGSTOP)
    try:
        await workers.until(lambda: workers.status(second)["partitions"] == 3)
    finally:
        first.send_signal(signal.SIGCONT)
    answers = await workers.until_answered(100)
    assert {answer.number for answer in answers} == set(range(100))
    await workers.until(
        lambda: sorted(workers.status(each)["partitions"] for each in both) == [1, 2]
    )
    await put(workers, *(Note(key=f"k{n}", number=n) for n in range(100, 120)))
    await workers.until_answered(120)
    assert [each.poll() for each in both] == [None, None]


def test_a_partition_without_progress_and_without_a_hold_is_unhealthy() -> None:
    status = RoleStatus()
    limits = {"start_limit_s": 60.0, "stall_limit_s": 300.0}
    assert status.unhealthy(**limits) is None
    status.unready_since_s = time.monotonic() - 61
    assert "no partitions for 61 s" in (status.unhealthy(**limits) or "")
    idle, held, stuck = (("mail.validated", number) for number in range(3))
    status.assigned([idle, held, stuck])
    assert status.unhealthy(**limits) is None
    status.set_lags({held: 4, stuck: 5, ("mail.validated", 9): 6})
    status.moved_s = dict.fromkeys(status.moved_s, time.monotonic() - 301)
    slot = ("scan", *held)
    status.hold(slot, 7, ScannerUnavailable("clamd"))
    assert status.lag == 15
    assert "5 events wait at mail.validated/2" in (status.unhealthy(**limits) or "")
    status.moves(stuck)
    assert status.unhealthy(**limits) is None
    status.release(slot, 7)  # held for longer than the limit, and not acknowledged yet
    assert status.unhealthy(**limits) is None
    status.moved_s[held] = time.monotonic() - 301
    assert "4 events wait" in (status.unhealthy(**limits) or "")
    status.lag_unknown()
    assert status.unhealthy(**limits) is None


async def test_a_handler_that_never_returns_is_reported_while_another_partition_is_held(
    make_workers, put
) -> None:
    workers = await make_workers()
    process = workers.start(config={"stall_limit_s": 1.0})
    workers.gate.touch()
    await put(workers, Note(key="held", number=0, word=f"wait:{workers.gate}"))
    await workers.until(lambda: workers.status(process)["held"])
    (held,) = workers.status(process)["held"]
    await asyncio.sleep(2.0)  # past the limit, and by a few readings of lag
    assert workers.status(process)["unhealthy"] is None
    await put(workers, *(Note(key=f"k{n}", number=n, word="slow:600000") for n in range(1, 10)))
    await workers.until(lambda: workers.status(process)["unhealthy"])
    assert f"/{held['partition']} " not in workers.status(process)["unhealthy"]
    report = (workers.folder / "stderr").read_text()
    assert "makes no progress" in report
    assert "sleep tasks.py" in report.replace("asyncio/", "")
    assert "small_role.py" in report  # a handler, and where it waits


async def test_a_worker_ends_when_its_topic_was_created_again(make_workers, put, broker) -> None:
    """Old offsets do not belong to the new topic: a guard by position would skip new events."""
    workers = await make_workers()
    process = workers.start()
    await put(workers, Note(key="k", number=0))
    await workers.until_answered(1)
    process.terminate()
    await asyncio.to_thread(process.wait, 60)
    name = workers.topology.notes.name
    admin = AIOKafkaAdminClient(**broker.bootstrap.options)
    await admin.start()
    await admin.delete_topics([name])
    while name in await admin.list_topics():
        await asyncio.sleep(0.05)
    await admin.close()
    config = TopicsConfig(bootstrap=broker.bootstrap, partitions=3)
    anew = await ensure_topics(config, MemorySettings(), topics=workers.topology.topics)
    assert await asyncio.to_thread(workers.start().wait, 60) not in (0, -9)
    assert f"{name} was created again" in workers.errors()
    workers.epochs = anew
    workers.start()
    await put(workers, Note(key="k", number=1))
    await workers.until_answered(2)
