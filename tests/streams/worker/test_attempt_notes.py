"""Notes of attempts: a killed process leaves suspects; an event that killed it alone is guilty."""

import asyncio
import os
import random

import pytest

from streams.worker.attempt_notes import SLOTS_MAX, AttemptNotes, stamp_of
from streams.worker.attempt_turns import AttemptTurns

STAMP = stamp_of("1:x")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tries" / "notes-3"


def killed(notes: AttemptNotes) -> None:
    """End as a killed process does: the notes stay, the lock is released."""
    notes._close_file()


def test_events_in_the_notes_of_a_killed_process_are_suspect(path) -> None:
    notes = AttemptNotes(path, STAMP)
    for offset in (0, 5, 6, 7):
        notes.begin(offset, 100)
    notes.end(6, handled=True)
    killed(notes)
    assert AttemptNotes(path, STAMP).suspects == {0, 5, 7}


def test_a_suspect_that_ends_two_more_processes_alone_is_guilty(path) -> None:
    first = AttemptNotes(path, STAMP)
    for offset in (5, 6, 7):
        first.begin(offset, 100)
    killed(first)
    second = AttemptNotes(path, STAMP)
    second.begin(5, 100, alone=True)
    second.end(5, handled=True)
    second.begin(6, 100, alone=True)
    killed(second)
    third = AttemptNotes(path, STAMP)
    assert (third.suspects, third.guilty) == (
        {6, 7},
        set(),
    )  # an operator may have killed the process
    third.begin(6, 100, alone=True)
    third.end(6, handled=False)  # the event is held
    third.begin(6, 100, alone=True)
    killed(third)
    fourth = AttemptNotes(path, STAMP)
    assert (fourth.suspects, fourth.guilty) == ({7}, {6})
    fourth.close()
    fifth = AttemptNotes(path, STAMP)
    assert (fifth.suspects, fifth.guilty) == ({7}, {6})
    fifth.end(6, handled=True)
    killed(fifth)
    assert AttemptNotes(path, STAMP).guilty == set()


def test_a_suspect_that_waits_for_an_engine_is_neither_cleared_nor_guilty(path) -> None:
    first = AttemptNotes(path, STAMP)
    first.begin(5, 100)
    killed(first)
    second = AttemptNotes(path, STAMP)
    second.begin(5, 100, alone=True)
    second.end(5, handled=False)
    killed(second)
    for _ in range(5):
        later = AttemptNotes(path, STAMP)
        assert (later.suspects, later.guilty) == ({5}, set())
        killed(later)


def test_an_orderly_end_leaves_no_suspects(path) -> None:
    notes = AttemptNotes(path, STAMP)
    for offset in range(20):
        notes.begin(offset, 100)
    notes.close()
    notes.begin(21, 100)  # a straggler of a partition that is gone
    assert AttemptNotes(path, STAMP).suspects == set()


@pytest.mark.parametrize("other", ["2:y", ""])
def test_notes_of_another_epoch_are_discarded(path, other) -> None:
    notes = AttemptNotes(path, STAMP)
    notes.begin(5, 100)
    killed(notes)
    fresh = AttemptNotes(path, stamp_of(other))
    assert fresh.suspects == set()
    killed(fresh)
    assert AttemptNotes(path, STAMP).suspects == set()


def test_notes_of_a_living_process_are_left_alone(path) -> None:
    notes = AttemptNotes(path, STAMP)
    notes.begin(5, 100)
    other = AttemptNotes(path, STAMP)
    other.begin(9, 100)
    assert other.suspects == set()
    killed(notes)
    assert AttemptNotes(path, STAMP).suspects == {5}


@pytest.mark.parametrize("content", [b"", b"\xff" * 37, STAMP, os.urandom(5_000)])
def test_a_file_with_other_content_is_overwritten(path, content) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    notes = AttemptNotes(path, STAMP)
    notes.begin(1, 1)
    killed(notes)
    assert AttemptNotes(path, STAMP).suspects == {1}


def test_a_folder_that_cannot_be_written_notes_nothing_and_fails_nothing(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (None, tmp_path / "file" / "notes"):
        notes = AttemptNotes(path, STAMP)
        notes.begin(1, 1)
        notes.end(1, handled=True)
        notes.close()


def test_a_full_disk_ends_the_notes_and_fails_nothing(path) -> None:
    notes = AttemptNotes(path, STAMP)
    notes.begin(1, 1)
    full = os.open("/dev/full", os.O_RDWR)
    os.dup2(full, notes._file)
    os.close(full)
    notes.begin(2, 1)
    notes.end(2, handled=True)
    notes.end(1, handled=False)
    notes.close()


def test_the_file_stays_small_and_correct_in_any_order_of_attempts(path) -> None:
    chance = random.Random(7)
    notes, there = AttemptNotes(path, STAMP), set()
    for offset in range(5_000):
        notes.begin(offset, offset)
        there.add(offset)
        while len(there) > chance.randrange(65):
            gone = chance.choice(sorted(there))
            there.discard(gone)
            notes.end(gone, handled=chance.random() < 0.5)
    killed(notes)
    assert AttemptNotes(path, STAMP).suspects == there
    assert path.stat().st_size <= 24 + 24 * 70


def test_no_more_slots_than_the_limit(path) -> None:
    notes = AttemptNotes(path, STAMP)
    for offset in range(SLOTS_MAX + 50):
        notes.begin(offset, 1)
    killed(notes)
    assert len(AttemptNotes(path, STAMP).suspects) == SLOTS_MAX


async def pause() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_suspect_runs_when_all_others_have_ended_and_before_the_next() -> None:
    turns, order = AttemptTurns(), []
    turns.begin_now()

    async def a_try(name: str, *, alone: bool) -> None:
        await turns.begin(alone=alone)
        order.append(f"{name} begins")
        await pause()
        order.append(f"{name} ends")
        turns.end(alone=alone)

    tasks = [asyncio.create_task(a_try(name, alone=True)) for name in "ab"]
    await pause()
    tasks.append(asyncio.create_task(a_try("other", alone=False)))
    await pause()
    assert (order, turns.is_open) == ([], False)
    turns.end(alone=False)
    await asyncio.gather(*tasks)
    assert order == [
        "a begins", "a ends", "b begins", "b ends", "other begins", "other ends",
    ]  # fmt: skip
    assert turns.is_open


async def test_a_suspect_waits_for_an_attempt_that_waited_for_another_suspect() -> None:
    turns = AttemptTurns()
    turns.begin_now()
    first = asyncio.create_task(turns.begin(alone=True))
    await pause()
    turns.end(alone=False)
    await first
    other = asyncio.create_task(turns.begin(alone=False))
    await pause()
    assert not other.done()
    turns.end(alone=True)
    await other
    second = asyncio.create_task(turns.begin(alone=True))
    await pause()
    assert not second.done()
    turns.end(alone=False)
    async with asyncio.timeout(10):
        await second
    turns.end(alone=True)
    assert turns.is_open


async def test_a_cancelled_suspect_lets_others_begin() -> None:
    turns = AttemptTurns()
    turns.begin_now()
    waiting = [asyncio.create_task(turns.begin(alone=True)) for _ in range(2)]
    await pause()
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert turns.is_open
    turns.end(alone=False)
    async with asyncio.timeout(5):
        await turns.begin(alone=True)
