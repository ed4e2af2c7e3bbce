"""Workers as processes on a real broker: every outcome, and nothing lost by any of them."""

import time

import pytest

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
    print("ready after", workers.lines("ready")[0]["after_s"], "s")


async def test_a_hold_longer_than_every_buffer_loses_nothing(make_workers, put) -> None:
    """The window, then the buffer, then Faust's own fill up; the rest stays in the log."""
    workers = await make_workers()
    process = workers.start(config={"buffer_max_events": 40, "poll_max_records": 30})
    workers.gate.touch()
    notes = [Note(key=f"k{n % 7}", number=n, word=f"wait:{workers.gate}") for n in range(1500)]
    await put(workers, *notes)
    await workers.until(lambda: len(workers.status(process)["held"]) == 3)
    began_s = time.monotonic()
    await workers.until(lambda: time.monotonic() - began_s > 3)
    held = workers.status(process)["held"][0]
    assert (held["stage"], held["engine"]) == ("answer", "gate")
    workers.gate.unlink()
    answers = await workers.until_answered(1500)
    assert {answer.number for answer in answers} == set(range(1500))
    await workers.until(lambda: not workers.status(process)["held"])
