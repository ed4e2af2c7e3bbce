"""Events that are parked or kept for a reason other than what their handler raised."""

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
from tests.streams.worker.test_event_handling import ANSWER, CONFIG, FakeRiver, Stage

PLACE = RecordPosition("unit.notes", 2, 7)
EPOCH = "1:x"


class Equipped(Stage):
    """A stage with a folder for notes and one for requests."""

    def __init__(self, folder: Path, *does, river=None, **config) -> None:
        super().__init__(*does, river=river)
        config = {"notes_folder": folder / "tries", **config}
        self.refit(
            config=dataclasses.replace(CONFIG, **config), requests=ParkRequests(folder / "requests")
        )

    def refit(self, **more) -> None:
        names = ("stage", "topic", "handler", "ports", "river", "config", "status", "epoch",
                 "instead", "dead_letters", "alone", "requests")  # fmt: skip
        kept = {name: getattr(self.handling, name) for name in names}
        self.handling = type(self.handling)(**(kept | more))


def noted(folder: Path) -> AttemptNotes:
    return AttemptNotes(folder / "tries" / "unit.notes-2", stamp_of(EPOCH))


def guilty(folder: Path) -> None:
    """What killed processes leave that tried the event alone."""
    for _ in range(2):
        notes = noted(folder)
        notes.begin(7, 10, alone=True)
        notes._drop()


async def test_an_event_that_ended_the_process_alone_is_parked_and_not_tried(tmp_path) -> None:
    guilty(tmp_path)
    stage = Equipped(tmp_path)
    await stage.run()
    assert stage.seen == []
    assert stage.river.dead[0][1].cause.startswith("EndsProcess: ")
    stage.handling.forget(2)
    assert not noted(tmp_path).guilty


async def test_a_suspect_is_tried_alone_and_then_free(tmp_path) -> None:
    notes = noted(tmp_path)
    notes.begin(7, 10)
    notes._drop()
    stage = Equipped(tmp_path)
    stage.handling.alone.begin_now()
    running = asyncio.create_task(stage.run())
    await asyncio.sleep(0.01)
    assert stage.seen == []
    stage.handling.alone.end(alone=False)
    await running
    assert stage.river.events == [ANSWER]
    stage.handling.forget(2)
    assert not noted(tmp_path).suspects


async def test_a_try_is_noted_while_it_runs_and_not_while_it_waits(tmp_path) -> None:
    stage = Equipped(tmp_path, *[StoreUnavailable("store")] * 999)
    file = tmp_path / "tries" / "unit.notes-2"
    during, between = [], []
    handler = stage.handling.handler

    async def looking(*given):
        during.append(file.read_bytes()[24:])
        return await handler(*given)

    stage.refit(handler=looking)
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


async def test_a_stage_may_hand_on_what_ended_the_process(tmp_path) -> None:
    guilty(tmp_path)
    asked = []

    async def instead(event, work, ports, cause):
        asked.append(type(cause))
        return [ANSWER]

    stage = Equipped(tmp_path, river=FakeRiver(BrokerUnavailable("late")))
    stage.refit(instead=instead)
    await stage.run()
    assert (stage.river.events, stage.river.dead) == ([ANSWER], [])
    assert set(asked) == {EndsProcess}
    assert stage.seen == []


@pytest.mark.parametrize("failing", [None, ValueError("no one knows")])
async def test_what_a_stage_has_nothing_better_for_is_parked(tmp_path, failing) -> None:
    async def instead(*_):
        if failing:
            raise failing

    stage = Equipped(tmp_path, Poison("spoilt"))
    stage.refit(instead=instead)
    await stage.run()
    assert stage.river.dead[0][1].cause == "Poison: spoilt"
    assert stage.after == []


async def test_an_event_that_an_operator_wants_set_aside_is_parked_untried(tmp_path) -> None:
    set_aside.ask(tmp_path / "requests", PLACE, EPOCH)
    stage = Equipped(tmp_path)
    await stage.run()
    assert stage.seen == []
    ((_, letter),) = stage.river.dead
    assert letter.cause == f"SetAside: {SetAside()}"
    assert set_aside.asked(tmp_path / "requests") == {PLACE: EPOCH}  # until the commit is behind it


@pytest.mark.parametrize("other", [(RecordPosition("unit.notes", 2, 8), EPOCH), (PLACE, "2:y")])
async def test_a_request_is_for_one_event_of_one_epoch(tmp_path, other) -> None:
    set_aside.ask(tmp_path / "requests", *other)
    stage = Equipped(tmp_path)
    await stage.run()
    assert (stage.river.events, stage.river.dead) == ([ANSWER], [])


async def test_a_held_event_is_set_aside_at_once(tmp_path) -> None:
    stage = Equipped(
        tmp_path, *[StoreUnavailable("store")] * 999, hold_first_s=600.0, hold_cap_s=600.0
    )
    running = asyncio.create_task(stage.run())
    while not stage.status.held:
        await asyncio.sleep(0)
    assert stage.status.held[0].offset == 7
    set_aside.ask(tmp_path / "requests", PLACE, EPOCH)
    assert stage.handling.requests.look()
    stage.handling.wake()
    async with asyncio.timeout(10):
        await running
    assert len(stage.seen) == 1
    assert stage.river.dead[0][1].cause.startswith("SetAside")
    assert stage.status.held == []


async def test_requests_go_once_the_commit_is_surely_behind_them(tmp_path) -> None:
    folder = tmp_path / "requests"
    set_aside.ask(folder, PLACE, EPOCH)
    (folder / ".half").write_text("")
    (folder / "unit.notes@1-2").mkdir()
    kept = ParkRequests(folder)
    kept.parked(PLACE)
    assert not kept.look()
    assert kept.wants(PLACE, EPOCH)
    requests = ParkRequests(folder, kept_s=0.0)
    requests.parked(PLACE)
    requests.look()
    assert set_aside.asked(folder) == {}
    assert not requests


@pytest.mark.parametrize(
    "name",
    ["", "mail.received", "mail.received@1", "mail.received@a-1", "mail.received@1-",
     "mail.received@1--1", "../x@1-1", "mail.received@1-1\n", "mail.received@1-" + "9" * 30],
)  # fmt: skip
def test_what_is_no_place_is_refused(name) -> None:
    with pytest.raises(Refused, match="TOPIC@PARTITION-OFFSET"):
        set_aside.place_of(name)


def test_a_place_reads_as_it_is_written() -> None:
    assert set_aside.place_of(str(PLACE)) == PLACE
    assert set_aside.reader_of(RecordPosition("mail.received", 1, 2)).name == "validate"
    with pytest.raises(Refused, match="no stage reads"):
        set_aside.reader_of(RecordPosition("dead.letters", 1, 2))


class Committed(Equipped):
    """Its handler is beyond the journal before it fails."""

    async def handle(self, event, work, ports):
        work.committed()
        return await super().handle(event, work, ports)


async def test_beyond_the_journal_an_event_is_never_parked(tmp_path) -> None:
    wrong = [ZeroDivisionError(), Poison("spoilt"), asyncio.CancelledError()] * 4
    stage = Committed(tmp_path, *wrong, river=FakeRiver(Poison("too big"), ValueError("what")))
    set_aside.ask(tmp_path / "requests", PLACE, EPOCH)
    running = asyncio.create_task(stage.run())
    while len(stage.seen) < 3:
        await asyncio.sleep(0)
        if stage.status.held:
            assert "beyond the journal" in stage.status.held[0].detail
        stage.handling.requests.look()
    await running
    assert (stage.river.events, stage.river.dead) == ([ANSWER], [])
    assert len(stage.seen) == len(wrong) + 1


class Served(StoreUnavailable):
    """A failure of a store that has just served somebody else."""

    def __init__(self, *, engine: str = "content") -> None:
        super().__init__(engine, "bad sector", served_s=time.monotonic() + 1.0)


QUICK = {"unreadable_tries": 3, "unreadable_s": 0.02}


async def test_what_an_engine_refuses_beside_others_is_parked(tmp_path) -> None:
    stage = Equipped(tmp_path, *[Served() for _ in range(999)], **QUICK)
    await stage.run()
    assert stage.river.dead[0][1].cause.startswith("Unreadable: failed ")
    assert "bad sector" in stage.river.dead[0][1].cause
    assert stage.status.held == []


@pytest.mark.parametrize(
    "failures",
    [
        lambda: [StoreUnavailable("content")] * 60,  # away for all
        lambda: [StoreUnavailable("content", served_s=time.monotonic())] * 60,  # since it went
        lambda: [Served(engine=f"store {n % 2}") for n in range(60)],  # first one, then another
    ],
)
async def test_an_outage_is_waited_for(tmp_path, failures) -> None:
    stage = Equipped(tmp_path, *failures(), **QUICK)
    await stage.run()
    assert (stage.river.events, stage.river.dead) == ([ANSWER], [])


async def test_beyond_the_journal_the_unreadable_waits_too(tmp_path) -> None:
    stage = Committed(tmp_path, *[Served() for _ in range(40)], **QUICK)
    await stage.run()
    assert (stage.river.events, stage.river.dead) == ([ANSWER], [])


async def test_a_record_too_large_for_a_letter_is_cut(tmp_path) -> None:
    stage = Equipped(tmp_path)
    await stage.run(b"\xc1" * (EVENT_MAX_BYTES + 60_000))
    ((_, letter),) = stage.river.dead
    assert letter.value == b"\xc1" * CUT_BYTES
    assert letter.cause.startswith(f"a foreign record of {EVENT_MAX_BYTES + 60_000} bytes, cut")
    await stage.run(b"\xc1" * EVENT_MAX_BYTES)
    assert len(stage.river.dead[1][1].value) == EVENT_MAX_BYTES


async def test_a_long_handler_that_beats_is_not_stalled(tmp_path) -> None:
    stage = Equipped(tmp_path)
    handler = stage.handling.handler
    stage.status.assigned([("unit.notes", 2)])
    moved = []

    async def slow(event, work, ports):
        before_s = stage.status.moved_s["unit.notes", 2]
        work.beat()
        moved.append(stage.status.moved_s["unit.notes", 2] > before_s)
        return await handler(event, work, ports)

    stage.refit(handler=slow)
    await stage.run()
    assert moved == [True]
