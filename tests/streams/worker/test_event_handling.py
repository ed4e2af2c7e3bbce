"""Event handling without a broker: every outcome of a handler."""

import asyncio
import dataclasses
import itertools
import time
from pathlib import Path

import pytest

from mail.errors import BrokerUnavailable, Fatal, Poison, ScannerUnavailable, StoreUnavailable
from streams.codec import encode
from streams.config import Bootstrap, StreamsConfig
from streams.dead_letters.headers import letter, texts
from streams.dead_letters.set_aside import ParkRequests
from streams.worker.context import WorkerContext
from streams.worker.event_handling import EventHandling, ReceivedEvent
from streams.worker.stage_handler import StageHandler, bind
from streams.worker.status import RoleStatus
from tests.streams.small import Answer, Note, SmallTopology

CONFIG = StreamsConfig(
    bootstrap=Bootstrap(""),
    worker="w1",
    data_folder=Path(),
    hold_first_s=0.001,
    hold_cap_s=0.004,
    unexpected_first_s=0.001,
)


class FakePublisher:
    """Keeps published events in memory, after it has raised each of `failures`."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.events: list = []
        self.dead: list = []

    async def publish(self, *events) -> None:
        await self._maybe_fail()
        self.events += events

    async def publish_raw(self, topic, key, value, headers, *, partition=None) -> None:
        await self._maybe_fail()
        self.dead.append((topic, letter(texts(headers), key, value)))

    async def _maybe_fail(self) -> None:
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)


class Stage:
    """A stage whose handler raises the next item of a list at each attempt; None: it answers."""

    def __init__(self, *does, publisher=None, config=CONFIG, park_requests=None) -> None:
        self.does = list(does)
        self.publisher = publisher or FakePublisher()
        self.status = RoleStatus()
        self.seen: list = []
        self.after: list = []
        parts = SmallTopology("unit")
        self.handling = EventHandling(
            stage=parts.stage,
            topic=parts.notes,
            epoch="1:x",
            handler=bind(self.handle, "ports", instead_of_parking=self.instead),
            worker=WorkerContext(
                publisher=self.publisher,
                config=config,
                status=self.status,
                dead_letters=parts.dead.name,
                park_requests=park_requests or ParkRequests(None),
            ),
        )

    async def instead(self, event, attempt, ports, cause):
        """Offer nothing: subclasses and tests may."""

    async def handle(self, event, work, ports):
        assert ports == "ports"
        self.seen.append((event, work.attempt, work.position, len(self.status.held)))
        attempt = work.attempt
        work.after_publish(lambda: self.after.append((attempt, list(self.publisher.events))))
        does = self.does.pop(0) if self.does else None
        if does is not None:
            raise does
        await asyncio.sleep(0)
        return [Answer(key=event.key, number=event.number)]

    async def run(self, value: bytes | None = None, *, ours: bool = True) -> None:
        value = encode(Note(key="k", number=3)) if value is None else value
        received = ReceivedEvent(partition=2, offset=7, key=b"k", value=value)
        async with asyncio.timeout(20):
            await self.handling.handle(received, lambda: ours)

    def count(self, outcome: str) -> int:
        return self.status.events["answer", outcome]


ANSWER = Answer(key="k", number=3)


async def test_outputs_are_published_before_the_functions_of_after_publish_run() -> None:
    stage = Stage()
    await stage.run()
    assert stage.publisher.events == [ANSWER]
    assert stage.after == [(1, [ANSWER])]
    assert (stage.count("done"), stage.count("held")) == (1, 0)
    assert sum(stage.status.times["answer"].counts) == 1
    position = stage.seen[0][2]
    assert (position.epoch, position.partition, position.offset) == ("1:x", 2, 7)


async def test_a_dead_engine_holds_and_attempts_grow() -> None:
    stage = Stage(*[ScannerUnavailable("clamd", "refused")] * 9)
    await stage.run()
    assert [attempt for _, attempt, _, _ in stage.seen] == list(range(1, 11))
    assert [held for *_, held in stage.seen] == [0] + [1] * 9
    assert stage.status.held == []
    assert stage.after == [(10, [ANSWER])]
    assert stage.count("held") == 9


async def test_a_hold_says_what_it_waits_for_and_since_when() -> None:
    stage = Stage(*[StoreUnavailable("store", "busy")] * 3, *[ScannerUnavailable("clamd")] * 999)
    running = asyncio.create_task(stage.run())
    while len(stage.seen) < 3:
        await asyncio.sleep(0)
    (first,) = stage.status.held
    while len(stage.seen) < 6:
        await asyncio.sleep(0)
    (later,) = stage.status.held
    running.cancel()
    await asyncio.wait([running])
    assert (first.engine, first.detail, first.stage, first.partition) == (
        "store", "store: busy", "answer", 2,
    )  # fmt: skip
    assert (later.engine, later.since_ms) == ("clamd", first.since_ms)
    assert stage.status.held == []


async def test_a_publish_in_doubt_is_repeated_without_the_handler() -> None:
    stage = Stage(publisher=FakePublisher(*[BrokerUnavailable("late")] * 4))
    await stage.run()
    assert len(stage.seen) == 1
    assert stage.publisher.events == [ANSWER]
    assert stage.after == [(1, [ANSWER])]


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x81\xa4type\xa8other.v1"])
async def test_an_undecodable_record_is_parked_unchanged(value) -> None:
    stage = Stage()
    await stage.run(value)
    assert stage.seen == []
    ((topic, parked),) = stage.publisher.dead
    assert topic == "unit.dead"
    assert (parked.value, parked.key, parked.topic) == (value, b"k", "unit.notes")
    assert (parked.partition, parked.offset, parked.stage) == (2, 7, "answer")
    assert parked.cause.startswith("Undecodable: ")
    assert stage.count("parked") == 1


async def test_poison_is_parked_after_one_try_even_when_parking_must_wait() -> None:
    stage = Stage(Poison("spoilt"), publisher=FakePublisher(*[BrokerUnavailable("late")] * 2))
    await stage.run()
    assert len(stage.seen) == 1
    assert stage.publisher.dead[0][1].cause == "Poison: spoilt"
    assert (stage.publisher.events, stage.after) == ([], [])


async def test_an_output_that_cannot_be_written_parks_its_event() -> None:
    stage = Stage(publisher=FakePublisher(Poison("too big")))
    await stage.run()
    assert (len(stage.publisher.dead), stage.after) == (1, [])


async def test_an_unexpected_failure_is_tried_five_times_not_counting_holds() -> None:
    wrong, down = ZeroDivisionError("1/0"), StoreUnavailable("store")
    stage = Stage(wrong, down, wrong, wrong, down, down, wrong, wrong)
    await stage.run()
    ((_, parked),) = stage.publisher.dead
    assert "ZeroDivisionError" in parked.cause
    assert parked.attempt == 8
    assert (stage.count("retried"), stage.count("parked")) == (4, 1)


async def test_the_delay_between_unexpected_failures_doubles() -> None:
    first_s = 0.02
    stage = Stage(
        *[ZeroDivisionError()] * 4,
        config=dataclasses.replace(CONFIG, unexpected_first_s=first_s),
    )
    handle, times_s = stage.handling.handler.handle, []

    async def timed(event, work):
        times_s.append(time.monotonic())
        return await handle(event, work)

    object.__setattr__(stage.handling, "handler", StageHandler(handle=timed))
    await stage.run()
    assert stage.publisher.events == [ANSWER]
    delays_s = [later - earlier for earlier, later in itertools.pairwise(times_s)]
    assert all(delay_s >= first_s * 2**number * 0.95 for number, delay_s in enumerate(delays_s)), (
        delays_s
    )


async def test_an_unexpected_failure_may_pass() -> None:
    stage = Stage(*[ZeroDivisionError()] * 4)
    await stage.run()
    assert (stage.publisher.events, stage.after) == ([ANSWER], [(5, [ANSWER])])


async def test_a_handler_cancelled_from_within_is_unexpected() -> None:
    stage = Stage(*[asyncio.CancelledError()] * 5)
    await stage.run()
    assert "cancelled from within" in stage.publisher.dead[0][1].cause


async def test_a_cancelled_event_leaves_nothing() -> None:
    stage = Stage(*[ScannerUnavailable("clamd")] * 999)
    running = asyncio.create_task(stage.run())
    while len(stage.seen) < 2:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (stage.status.held, stage.publisher.dead, stage.after) == ([], [], [])


async def test_an_event_cancelled_while_its_handler_runs_is_not_tried_again() -> None:
    stage = Stage()
    calls: list[int] = []

    async def slow_once(event, work):
        calls.append(work.attempt)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return []

    object.__setattr__(stage.handling, "handler", StageHandler(handle=slow_once))
    running = asyncio.create_task(stage.run())
    while not calls:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert calls == [1]
    assert (stage.publisher.dead, stage.count("retried")) == ([], 0)


async def test_fatal_leaves_handle() -> None:
    stage = Stage(Fatal("second writer"))
    with pytest.raises(Fatal, match="second writer"):
        await stage.run()
    assert (stage.publisher.events, stage.publisher.dead) == ([], [])


async def test_after_a_revoke_no_function_of_after_publish_runs() -> None:
    stage = Stage()
    await stage.run(ours=False)
    assert (stage.publisher.events, stage.after) == ([ANSWER], [])


async def test_one_served_event_wakes_all_events_held_by_its_engine() -> None:
    stage = Stage(*[ScannerUnavailable("clamd")] * 20)
    slow = StreamsConfig(
        bootstrap=Bootstrap(""), worker="w", data_folder=Path(), hold_first_s=60, hold_cap_s=60
    )
    object.__setattr__(stage.handling._hold, "config", slow)
    waiting = [asyncio.create_task(stage.run()) for _ in range(20)]
    while stage.does:
        await asyncio.sleep(0)
    object.__setattr__(stage.handling._hold, "config", CONFIG)
    stage.does = [ScannerUnavailable("clamd")]
    await stage.run()
    async with asyncio.timeout(20):
        await asyncio.gather(*waiting)
    assert len(stage.publisher.events) == 21
