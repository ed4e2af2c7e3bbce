"""Suspension of a watcher with its processes: no failure counts; a set clock is no suspension."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from stack.state_folder import claimed
from stack.supervision.orphan_processes import (
    ProcessRecord,
    ProcessRecords,
    boot_id,
    members,
    start_ticks,
)
from stack.supervision.probes import PROBE_TIMEOUT_S
from stack.supervision.program import Program, ProgramKind
from stack.supervision.supervised_process import SupervisedProcess
from stack.supervision.suspend_detection import WAKING_S, SuspendDetector
from tests.support.waiting import until


def test_a_gap_is_time_asleep_and_a_slow_round_is_not() -> None:
    now = [100.0]
    sleep = SuspendDetector(lambda: now[0])
    now[0] += 5 + 2 * PROBE_TIMEOUT_S
    assert sleep.missed_s(5) == 0
    assert not sleep.waking
    now[0] += 5 + 2 * PROBE_TIMEOUT_S + 60
    assert sleep.missed_s(5) == 60
    assert sleep.waking
    now[0] += WAKING_S
    assert not sleep.waking


class Clock:
    """A monotonic clock that the test advances, as over a machine's pause."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s

    def passes(self, more_s: float) -> bool:
        """Faster than real time, in steps too short for a suspension."""
        self.ahead_s += more_s
        return True


class Answers:
    """A probe: None while well; its failures are counted."""

    def __init__(self) -> None:
        self.well, self.failures = True, 0

    async def __call__(self) -> str | None:
        self.failures += not self.well
        return None if self.well else "deaf"


async def test_what_wakes_late_is_not_killed_and_what_stays_deaf_is(home_path: Path) -> None:
    clock, answers = Clock(), Answers()
    program = Program(
        name="role", kind=ProgramKind.ROLE, argv=("/bin/sleep", "60"), ready=answers,
        health_every_s=0.02, unhealthy_after=1,
    )  # fmt: skip
    with claimed(home_path) as home:
        child = SupervisedProcess(program, home, ProcessRecords(home), clock)
        running = asyncio.create_task(child.run())
        await child.became_ready.wait()
        clock.ahead_s, answers.well = 3600.0, False
        await until(lambda: answers.failures > 10)
        assert (child.restarts, child.reason) == (0, "deaf")
        await until(lambda: clock.passes(0.5) and child.restarts == 1)
        assert clock.ahead_s >= 3600.0 + WAKING_S / 2, "it was given time"
        await child.stop(at_once=True)
        await running


def test_a_session_is_known_by_its_start_whatever_the_clock_says() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=-1, start_new_session=True
    ) as it:
        ticks = start_ticks(it.pid)
        assert ticks is not None
        ours, other = (ProcessRecord("", it.pid, start, boot_id()) for start in (ticks, ticks - 1))
        assert [process.pid for process in members(ours)] == [it.pid]
        assert members(other) == []
        it.kill()
    assert start_ticks(it.pid) is None
