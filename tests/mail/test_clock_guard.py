"""Clock guard: a wall clock that was set is reported; elapsed time, also in suspend, is not."""

import pytest

from mail.clock import DAY_MS
from mail.clock_guard import MOVED_MAX_MS, ClockGuard, boot_ms

NOON_MS = 1_700_000_000_000


class Clocks:
    def __init__(self) -> None:
        self.wall, self.boot = NOON_MS, 5_000

    def guard(self) -> ClockGuard:
        return ClockGuard(lambda: self.wall, lambda: self.boot)


def test_time_that_passes_is_no_fault() -> None:
    clocks = Clocks()
    guard = clocks.guard()
    clocks.wall += 400 * DAY_MS + MOVED_MAX_MS
    clocks.boot += 400 * DAY_MS
    assert guard.moved() is None
    assert guard.fault(None) is None
    assert guard.fault(clocks.wall - 30 * DAY_MS) is None


@pytest.mark.parametrize(("by_ms", "way"), [(8 * DAY_MS, "ahead"), (-MOVED_MAX_MS - 1, "back")])
def test_a_clock_that_was_set_is_a_fault_until_the_process_starts_again(
    by_ms: int, way: str
) -> None:
    clocks = Clocks()
    guard = clocks.guard()
    clocks.wall += by_ms
    for told in (guard.moved(), guard.fault(None), guard.fault(clocks.wall)):
        assert told is not None
        assert way in told
    assert clocks.guard().moved() is None


def test_a_clock_far_ahead_of_the_newest_mail_is_a_fault() -> None:
    clocks = Clocks()
    guard = clocks.guard()
    told = guard.fault(NOON_MS - 31 * DAY_MS)
    assert told is not None
    assert "31 days ahead" in told
    assert guard.fault(NOON_MS - 31 * DAY_MS, silence_max_days=40) is None


def test_the_machines_own_clocks_agree() -> None:
    assert boot_ms() <= boot_ms()
    assert ClockGuard().moved() is None
