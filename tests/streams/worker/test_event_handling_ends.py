"""Events that are parked or held for a reason other than an error of their handler."""

import asyncio
import dataclasses
import time
from pathlib import Path

import pytest

from mail.errors import (
    BrokerUnavailable,
    EndsProcess,
    Poison,
    Refused,
    SetAside,
    StoreUnavailable,
)
from streams.dead_letters import set_aside
from streams.dead_letters.parking import CUT_BYTES
from streams.dead_letters.set_aside import ParkRequests, RecordPosition
from streams.topology import EVENT_MAX_BYTES
from streams.worker.attempt_notes import AttemptNotes, stamp_of
from tests.streams.worker.test_event_handling import ANSWER, CONFIG, FakePublisher, Stage

PLACE = RecordPosition("unit.notes", 2, 7)
EPOCH = "1:x"


class Equipped(Stage):
    """A stage with a folder for notes and a folder for requests to park."""

    def __init__(self, folder: Path, *does, publisher=None, **config) -> None:
        config = {"notes_folder": folder / "tries", **config}
        super().__init__(
            *does,
            publisher=publisher,
            config=dataclasses.replace(CONFIG, **config),
            park_requests=ParkRequests(folder / "requests"),
        )

    def refit(self, **handlers) -> None:
        """Exchange functions of the stage's handler."""
        handler = dataclasses.replace(self.handling.handler, **handlers)
        self.handling = dataclasses.replace(self.handling, handler=handler)


def noted(folder: Path) -> AttemptNotes:
    return AttemptNotes(folder / "tries" / "unit.notes-2", stamp_of(EPOCH))


def guilty(folder: Path) -> None:
    """Leave the notes of two killed processes that handled the event alone."""
    for _ in range(2):
        notes = noted(folder)
        notes.begin(7, 10, alone=True)
        notes._close_file()


async def test_an_event_that_ended_the_process_alone_is_parked_without_an_attempt(tmp_path) -> None:
    guilty(tmp_path)
    stage = Equipped(tmp_path)
    await stage.run()
    assert stage.seen == []
    assert stage.publisher.dead[0][1].cause.startswith("EndsProcess: ")
    stage.handling.forget(2)
    assert not noted(tmp_path).guilty


async def test_a_suspect_is_handled_alone_and_then_cleared(tmp_path) -> None:
    notes = noted(tmp_path)
    notes.begin(7, 10)
    notes._close_file()
    stage = Equipped(tmp_path)
    stage.handling.worker.turns.begin_now()
    running = asyncio.create_task(stage.run())
    await asyncio.sleep(0.01)
    assert stage.seen == []
    stage.handling.worker.turns.end(alone=False)
    await running
    assert stage.publisher.events == [ANSWER]
    stage.handling.forget(2)
    assert not noted(tmp_path).suspects


@pytest.mark.parametrize("failing", [None, Poison("spoilt"), StoreUnavailable("store")])
@pytest.mark.parametrize("suspect", [False, True])
async def test_an_attempt_ends_its_turn_whatever_its_outcome(tmp_path, suspect, failing) -> None:
    if suspect:
        notes = noted(tmp_path)
        notes.begin(7, 10)
        notes._close_file()
    stage = Equipped(tmp_path, *([failing] if failing else []))
    await stage.run()
    turns = stage.handling.worker.turns
    assert turns.is_open
    async with asyncio.timeout(10):
        await turns.begin(alone=True)
    turns.end(alone=True)


async def test_the_notes_of_a_revoked_partition_are_left_to_the_next_owner(tmp_path) -> None:
    stage = Equipped(tmp_path)
    await stage.run()
    stage.handling.forget(2)
    stage.handling.forget(3)  # a partition without events
    notes = noted(tmp_path)  # notes nothing while another owner has the lock
    notes.begin(9, 10)
    notes._close_file()
    await stage.run()
    assert stage.handling._notes[2].suspects == {9}
    stage.handling.forget(2)


async def test_an_attempt_is_noted_while_it_runs_and_not_while_the_event_is_held(tmp_path) -> None:
    stage = Equipped(tmp_path, *[StoreUnavailable("store")] * 999)
    file = tmp_path / "tries" / "unit.notes-2"
    during, between = [], []
    handle = stage.handling.handler.handle

    async def handle_and_read_notes(*arguments):
        during.append(file.read_bytes()[24:])
        return await handle(*arguments)

    stage.refit(handle=handle_and_read_notes)
    running = asyncio.create_task(stage.run())
    while len(during) < 3:
        await asyncio.sleep(0)
        if stage.status.held:
            between.append(file.read_bytes()[24:])
    running.cancel()
    await asyncio.wait([running])
    assert all(any(note) for note in during)
    assert not any(between[0])
    assert not any(file.read_bytes()[24:])


async def test_a_stage_may_publish_instead_of_parking_an_event_that_ended_the_process(
    tmp_path,
) -> None:
    guilty(tmp_path)
    causes = []

    async def instead(event, attempt, cause):
        causes.append(type(cause))
        return [ANSWER]

    stage = Equipped(tmp_path, publisher=FakePublisher(BrokerUnavailable("late")))
    stage.refit(instead_of_parking=instead)
    await stage.run()
    assert (stage.publisher.events, stage.publisher.dead) == ([ANSWER], [])
    assert set(causes) == {EndsProcess}
    assert stage.seen == []


@pytest.mark.parametrize("failing", [None, ValueError("unexpected")])
async def test_an_event_is_parked_if_its_stage_offers_nothing_instead(tmp_path, failing) -> None:
    async def instead(*_):
        if failing:
            raise failing

    stage = Equipped(tmp_path, Poison("spoilt"))
    stage.refit(instead_of_parking=instead)
    await stage.run()
    assert stage.publisher.dead[0][1].cause == "Poison: spoilt"
    assert stage.after == []


async def test_an_event_that_an_operator_wants_set_aside_is_parked_without_an_attempt(
    tmp_path,
) -> None:
    set_aside.make_request(tmp_path / "requests", PLACE, EPOCH)
    stage = Equipped(tmp_path)
    await stage.run()
    assert stage.seen == []
    ((_, letter),) = stage.publisher.dead
    assert letter.cause == f"SetAside: {SetAside()}"
    assert set_aside.requests_in(tmp_path / "requests") == {
        PLACE: EPOCH
    }  # until the offset is committed


@pytest.mark.parametrize("other", [(RecordPosition("unit.notes", 2, 8), EPOCH), (PLACE, "2:y")])
async def test_a_request_is_for_one_event_of_one_epoch(tmp_path, other) -> None:
    set_aside.make_request(tmp_path / "requests", *other)
    stage = Equipped(tmp_path)
    await stage.run()
    assert (stage.publisher.events, stage.publisher.dead) == ([ANSWER], [])


async def test_a_held_event_is_set_aside_at_once(tmp_path) -> None:
    stage = Equipped(
        tmp_path, *[StoreUnavailable("store")] * 999, hold_first_s=600.0, hold_cap_s=600.0
    )
    running = asyncio.create_task(stage.run())
    while not stage.status.held:
        await asyncio.sleep(0)
    assert stage.status.held[0].offset == 7
    set_aside.make_request(tmp_path / "requests", PLACE, EPOCH)
    assert stage.handling.worker.park_requests.refresh()
    stage.handling.wake()
    async with asyncio.timeout(10):
        await running
    assert len(stage.seen) == 1
    assert stage.publisher.dead[0][1].cause.startswith("SetAside")
    assert stage.status.held == []


async def test_requests_are_removed_once_the_offset_is_surely_committed(tmp_path) -> None:
    folder = tmp_path / "requests"
    set_aside.make_request(folder, PLACE, EPOCH)
    (folder / ".half").write_text("")
    (folder / "unit.notes@1-2").mkdir()
    kept = ParkRequests(folder)
    kept.parked(PLACE)
    assert not kept.refresh()
    assert kept.includes(PLACE, EPOCH)
    requests = ParkRequests(folder, kept_s=0.0)
    requests.parked(PLACE)
    requests.refresh()
    assert set_aside.requests_in(folder) == {}
    assert requests.is_empty


@pytest.mark.parametrize(
    "name",
    ["", "mail.received", "mail.received@1", "mail.received@a-1", "mail.received@1-",
     "mail.received@1--1", "../x@1-1", "mail.received@1-1\n", "mail.received@1-" + "9" * 30],
)  # fmt: skip
def test_a_malformed_record_position_is_refused(name) -> None:
    with pytest.raises(Refused, match="TOPIC@PARTITION-OFFSET"):
        set_aside.parse_position(name)


def test_a_record_position_is_parsed_as_it_is_formatted() -> None:
    assert set_aside.parse_position(str(PLACE)) == PLACE
    assert set_aside.stage_of(RecordPosition("mail.received", 1, 2)).name == "validate"
    with pytest.raises(Refused, match="no stage reads"):
        set_aside.stage_of(RecordPosition("dead.letters", 1, 2))


class Committed(Equipped):
    """A stage whose handler calls `committed` before it fails."""

    async def handle(self, event, work, ports):
        work.committed()
        return await super().handle(event, work, ports)


async def test_a_journalled_command_is_never_parked(tmp_path) -> None:
    wrong = [ZeroDivisionError(), Poison("spoilt"), asyncio.CancelledError()] * 4
    stage = Committed(
        tmp_path, *wrong, publisher=FakePublisher(Poison("too big"), ValueError("what"))
    )
    set_aside.make_request(tmp_path / "requests", PLACE, EPOCH)
    running = asyncio.create_task(stage.run())
    while len(stage.seen) < 3:
        await asyncio.sleep(0)
        if stage.status.held:
            assert "the journal has the command" in stage.status.held[0].detail
        stage.handling.worker.park_requests.refresh()
    await running
    assert (stage.publisher.events, stage.publisher.dead) == ([ANSWER], [])
    assert len(stage.seen) == len(wrong) + 1


class Served(StoreUnavailable):
    """A failure of a store that has just served another event."""

    def __init__(self, *, engine: str = "content") -> None:
        super().__init__(engine, "bad sector", served_s=time.monotonic() + 1.0)


QUICK = {"unreadable_tries": 3, "unreadable_s": 0.02}


async def test_an_event_is_parked_if_its_engine_fails_for_it_alone(tmp_path) -> None:
    stage = Equipped(tmp_path, *[Served() for _ in range(999)], **QUICK)
    await stage.run()
    assert stage.publisher.dead[0][1].cause.startswith("Unreadable: failed ")
    assert "bad sector" in stage.publisher.dead[0][1].cause
    assert stage.status.held == []


@pytest.mark.parametrize(
    "failures",
    [
        lambda: [StoreUnavailable("content")] * 60,  # fails for every event
        lambda: (
            [StoreUnavailable("content", served_s=time.monotonic())] * 60
        ),  # served nothing since the first failure
        lambda: [Served(engine=f"store {n % 2}") for n in range(60)],  # two engines in turn
    ],
)
async def test_an_event_waits_for_the_end_of_an_outage(tmp_path, failures) -> None:
    stage = Equipped(tmp_path, *failures(), **QUICK)
    await stage.run()
    assert (stage.publisher.events, stage.publisher.dead) == ([ANSWER], [])


async def test_failures_of_one_event_within_a_short_time_do_not_park_it(tmp_path) -> None:
    stage = Equipped(
        tmp_path, *[Served() for _ in range(20)], unreadable_tries=3, unreadable_s=600.0
    )
    await stage.run()
    assert (stage.publisher.events, stage.publisher.dead) == ([ANSWER], [])


async def test_an_unreadable_journalled_command_is_not_parked_either(tmp_path) -> None:
    stage = Committed(tmp_path, *[Served() for _ in range(40)], **QUICK)
    await stage.run()
    assert (stage.publisher.events, stage.publisher.dead) == ([ANSWER], [])


async def test_a_record_too_large_for_a_dead_letter_is_cut(tmp_path) -> None:
    stage = Equipped(tmp_path)
    await stage.run(b"\xc1" * (EVENT_MAX_BYTES + 60_000))
    ((_, letter),) = stage.publisher.dead
    assert letter.value == b"\xc1" * CUT_BYTES
    assert letter.cause.startswith(f"a foreign record of {EVENT_MAX_BYTES + 60_000} bytes, cut")
    await stage.run(b"\xc1" * EVENT_MAX_BYTES)
    assert len(stage.publisher.dead[1][1].value) == EVENT_MAX_BYTES


async def test_a_long_handler_that_calls_beat_is_not_stalled(tmp_path) -> None:
    stage = Equipped(tmp_path)
    handle = stage.handling.handler.handle
    stage.status.assigned([("unit.notes", 2)])
    moved = []

    async def slow(event, attempt):
        before_s = stage.status.moved_s["unit.notes", 2]
        attempt.beat()
        moved.append(stage.status.moved_s["unit.notes", 2] > before_s)
        return await handle(event, attempt)

    stage.refit(handle=slow)
    await stage.run()
    assert moved == [True]
