"""The relay worker: results, retries, turns of destinations, and kills at every step."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from agents.relaying.attempt import IN_DOUBT_MS
from agents.relaying.relay_worker import RelayLimits
from mail.clock import DAY_MS
from mail.errors import StoreUnavailable
from mail.ids import new_id
from mail.ports.mail_transport import RecipientOutcome
from schemas.relay import RelayFilter
from stores.memory import MemoryRelayQueue
from stores.memory.mail_transport import ScriptedReply
from stores.sqlite.relay_queue import SqliteRelayQueue
from tests.agents.relaying.world import RelayProcess, RelayWorld, SteppedQueue, mail
from tests.agents.sending.world import MAIL
from tests.support.waiting import until

BOB, CID, EVE = "bob@example.net", "cid@example.net", "eve@example.org"
HOUR_MS = 3_600_000
BUSY = ScriptedReply(451, "4.3.0", "busy")
UNKNOWN = ScriptedReply(550, "5.1.1", "no such user")


@pytest.fixture
async def world() -> RelayWorld:
    return await RelayWorld().prepare()


def last_statuses(world: RelayWorld) -> dict[str, str]:
    return {result.address: result.status for result in world.results()}


async def test_a_mail_is_sent_once_and_then_released(world: RelayWorld) -> None:
    await world.put(mail("m1", "bob", "cid"), mail("m1", "eve", destination="example.org"))
    process = world.process()
    await process.settle()
    assert sorted(world.received()) == [BOB, CID, EVE]
    assert {each.content for each in world.transport.received} == {MAIL}
    assert last_statuses(world) == {BOB: "relayed", CID: "relayed", EVE: "relayed"}
    assert world.results()[0].server == "memory.test [192.0.2.1]"
    assert await world.holders.list("m1") == []
    await world.process().settle()
    assert len(world.received()) == 3


async def test_each_recipient_has_a_result_of_its_own(world: RelayWorld) -> None:
    replies = {BOB: ScriptedReply(), CID: UNKNOWN, "dan@example.net": BUSY}
    world.transport.script = lambda _, recipient: replies[recipient.address]
    await world.put(mail("m1", "bob", "cid", "dan"))
    await world.process().settle()
    assert last_statuses(world) == {
        BOB: "relayed", CID: "failed", "dan@example.net": "deferred"
    }  # fmt: skip
    failed, deferred = (
        next(each for each in world.results() if each.status == status)
        for status in ("failed", "deferred")
    )
    assert (failed.code, failed.detail) == ("5.1.1", "no such user")
    assert deferred.next_attempt_at_ms > world.now_ms
    assert len(await world.holders.list("m1")) == 1
    del replies["dan@example.net"]
    replies["dan@example.net"] = ScriptedReply()
    world.now_ms = deferred.next_attempt_at_ms
    await world.process().settle()
    assert last_statuses(world)["dan@example.net"] == "relayed"
    assert await world.holders.list("m1") == []


async def test_a_mail_is_late_once_and_given_up_after_five_days(world: RelayWorld) -> None:
    world.transport.script = lambda *_: BUSY
    await world.put(mail("m1"))
    started_ms, process = world.now_ms, world.process()
    for _ in range(100):
        await process.settle()
        last = world.results()[-1]
        if last.status == "failed":
            break
        world.now_ms = last.next_attempt_at_ms
    assert world.now_ms == started_ms + 5 * DAY_MS
    assert (last.code, last.next_attempt_at_ms) == ("5.4.7", None)
    (notice,) = [each for each in world.results() if each.is_delay]
    assert started_ms + 4 * HOUR_MS <= notice.at_ms <= started_ms + 10 * HOUR_MS
    assert await world.holders.list("m1") == []


async def test_no_mail_is_given_up_while_the_clock_is_in_doubt(world: RelayWorld) -> None:
    world.transport.script = lambda *_: BUSY
    await world.put(mail("m1"))
    process = world.process()
    process.worker.clock._boot_clock_ms = lambda: 0
    world.now_ms += 30 * DAY_MS
    await process.settle()
    assert world.results()[-1].status == "deferred"


async def test_mail_of_a_disabled_user_fails(world: RelayWorld) -> None:
    await world.put(mail("m1"))
    await world.directory.set_disabled("ann", disabled=True)
    await world.process().settle()
    assert (world.received(), last_statuses(world)) == ([], {BOB: "failed"})


async def test_a_content_that_is_lost_fails(world: RelayWorld) -> None:
    await world.queue.put(mail("m1"), partition=3, at_ms=world.now_ms)
    await world.process().settle()
    assert (world.received(), last_statuses(world)) == ([], {BOB: "failed"})


async def test_nothing_is_sent_while_the_mark_cannot_be_written(
    world: RelayWorld, monkeypatch
) -> None:
    monkeypatch.setattr("agents.relaying.attempt.STORE_RETRY_S", 0.0)
    failures = iter(range(30))

    def fault(step: str) -> None:
        if step == "mark" and next(failures, None) is not None:
            raise StoreUnavailable("relay")

    world.queue.fault = fault
    await world.put(mail("m1"))
    await world.process().settle()
    assert world.received() == [BOB]


async def test_a_queue_that_does_not_answer_is_asked_again_after_a_pause(
    world: RelayWorld,
) -> None:
    calls = 0

    def fault(step: str) -> None:
        nonlocal calls
        calls += 1
        raise StoreUnavailable("relay")

    world.queue.fault = fault
    process = world.process(RelayLimits(poll_s=0.05))
    began_s = time.monotonic()
    await process.worker.start()
    await until(lambda: calls >= 4)
    await process.worker.stop()
    assert calls <= 2 + (time.monotonic() - began_s) / 0.05


async def test_a_long_queue_of_one_domain_delays_no_other(world: RelayWorld) -> None:
    """The first domain has 40 mails whose peer does not answer; the others come after them."""
    blocked, sent = asyncio.Event(), world.transport.send

    async def send(transmission):
        if transmission.domain == "slow.example":
            await blocked.wait()
        return await sent(transmission)

    world.transport = type("Slow", (), {"send": staticmethod(send)})()
    await world.put(*(mail(f"m{number}", destination="slow.example") for number in range(40)))
    await world.put(*(mail(f"n{number}", destination=f"d{number}.example") for number in range(9)))
    process = world.process(RelayLimits(at_once=20, of_destination_at_once=3))
    for _ in range(20):
        await process.worker.turn()
        for _ in range(50):
            await asyncio.sleep(0)
    assert process.worker.at_work == 3
    await process.reports.report()
    assert len(world.results()) == 9
    blocked.set()
    await process.settle()
    assert len(world.results()) == 49


async def test_an_unreachable_domain_is_not_tried_for_each_mail(world: RelayWorld) -> None:
    tried = []

    async def send(transmission):
        tried.append(transmission.mail_id)
        return tuple(
            RecipientOutcome(
                address=each.address, kind="deferred", phase="connect", status="4.4.1", text="no"
            )
            for each in transmission.recipients
        )

    world.transport = type("Down", (), {"send": staticmethod(send)})()
    await world.put(*(mail(f"m{number}") for number in range(30)))
    await world.process(RelayLimits(of_destination_at_once=2)).settle()
    assert len(tried) <= 2
    assert len({result.detail for result in world.results()}) == 2
    assert {result.status for result in world.results()} == {"deferred"}


async def test_another_owner_takes_over_and_the_late_process_sends_nothing(
    world: RelayWorld,
) -> None:
    frozen, reached = asyncio.Event(), asyncio.Event()
    late = world.process()
    mark = world.queue.mark

    async def slow_mark(rows, **fields):
        reached.set()
        await frozen.wait()
        await mark(rows, **fields)

    world.queue.mark = slow_mark
    await world.put(mail("m1"))
    await late.worker.turn()
    await reached.wait()
    world.queue.mark = mark
    await world.process().settle()
    frozen.set()
    await late.settle()
    assert world.received() == [BOB]


async def done(world: RelayWorld) -> list[str]:
    """The addresses of which the queue knows that they have the mail."""
    found = await world.queue.find(RelayFilter(state="done"), limit=99)
    rows = [each.row for each in found]
    return [row.recipient.address for row in rows if row.result.status == "relayed"]


async def new_queue(engine: str, folder: Path, opened: AsyncExitStack) -> Any:
    if engine == "memory":
        return MemoryRelayQueue()
    queue = await SqliteRelayQueue.open(folder / f"{new_id()}.sqlite")
    opened.push_async_callback(queue.close)
    return SteppedQueue(queue)


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


class Killed(Exception):
    """The process ends here."""


async def run_killed(process: RelayProcess) -> None:
    try:
        await process.settle()
    except Killed:
        await process.worker.finish()


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
async def test_a_kill_at_any_step_loses_nothing_and_repeats_only_between_dot_and_record(
    engine: str, tmp_path: Path, opened: AsyncExitStack
) -> None:
    """Every step of every adapter. What the peer has and the queue does not know is sent twice."""
    repeated = 0
    step_number = 0
    while True:
        world = await RelayWorld(await new_queue(engine, tmp_path, opened)).prepare()
        replies = {BOB: ScriptedReply(), CID: UNKNOWN, EVE: ScriptedReply()}
        world.transport.script = lambda _, recipient, replies=replies: replies[recipient.address]
        await world.put(mail("m1", "bob", "cid"), mail("m2", "eve", destination="example.org"))
        steps: list[str] = []

        def fault(step: str, steps: list[str] = steps, limit: int = step_number) -> None:
            steps.append(step)
            if len(steps) > limit:
                raise Killed

        world.set_fault(fault)
        await run_killed(world.process())
        if len(steps) <= step_number:
            break
        world.set_fault(lambda _: None)
        in_window = Counter(world.received())
        in_window.subtract(await done(world))
        await world.process().settle()
        world.now_ms += IN_DOUBT_MS + 1
        await world.process().settle()
        counts = Counter(world.received())
        assert set(counts) == {BOB, EVE}, steps
        assert last_statuses(world) == {BOB: "relayed", CID: "failed", EVE: "relayed"}, steps
        assert [await world.holders.list(each) for each in ("m1", "m2")] == [[], []], steps
        assert counts == Counter({BOB: 1, EVE: 1}) + in_window, steps
        repeated += (+in_window).total()
        step_number += 1
    assert step_number > 20
    assert 0 < repeated <= 10  # two mails, each at four steps between its dot and its record
