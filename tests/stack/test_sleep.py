"""A watcher that was frozen together with what it watches blames nobody; a set clock is no clue."""

import subprocess
import sys

from stack.child import WAKING_S, Sleep
from stack.leftovers import Record, boot_id, members, start_ticks
from stack.probes import PROBE_TIMEOUT_S


def test_a_gap_is_time_asleep_and_a_slow_round_is_not() -> None:
    now = [100.0]
    sleep = Sleep(lambda: now[0])
    now[0] += 5 + 2 * PROBE_TIMEOUT_S
    assert sleep.missed_s(5) == 0
    assert not sleep.waking
    now[0] += 5 + 2 * PROBE_TIMEOUT_S + 60
    assert sleep.missed_s(5) == 60
    assert sleep.waking
    now[0] += WAKING_S
    assert not sleep.waking


def test_a_session_is_known_by_its_start_whatever_the_clock_says() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=-1, start_new_session=True
    ) as it:
        ticks = start_ticks(it.pid)
        assert ticks is not None
        ours, other = (Record("", it.pid, start, boot_id()) for start in (ticks, ticks - 1))
        assert [process.pid for process in members(ours)] == [it.pid]
        assert members(other) == []
        it.kill()
    assert start_ticks(it.pid) is None
