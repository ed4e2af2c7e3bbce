"""Retry schedule: bounded, doubling, the same for the same mail, and it ends."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.sending.retry_schedule import HOUR_MS, MINUTE_MS, RetrySchedule

SCHEDULE = RetrySchedule()


def attempts(schedule: RetrySchedule, seed: str, queued_ms: int = 0) -> list[int]:
    """The times of all attempts of a mail that is deferred each time."""
    times, now_ms, attempt = [], queued_ms, 1
    while now_ms is not None:
        times.append(now_ms)
        now_ms = schedule.next_attempt_ms(attempt, seed=seed, queued_ms=queued_ms, now_ms=now_ms)
        attempt += 1
    return times


def test_without_jitter_the_delay_doubles_from_a_minute_to_four_hours() -> None:
    plain = RetrySchedule(jitter=0)
    minutes = [plain.delay_ms(attempt, seed="a") // MINUTE_MS for attempt in range(1, 12)]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 240, 240, 240]


@given(st.text(max_size=40), st.integers(min_value=0, max_value=1 << 45))
def test_a_mail_is_tried_until_the_end_of_five_days(seed: str, queued_ms: int) -> None:
    times = attempts(SCHEDULE, seed, queued_ms)
    assert times == attempts(SCHEDULE, seed, queued_ms)  # the same after a restart
    assert times[-1] == queued_ms + 120 * HOUR_MS
    assert 30 <= len(times) <= 40
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert all(MINUTE_MS <= pause <= 5 * HOUR_MS for pause in pauses[:-1])
    assert all(pause >= 30 * MINUTE_MS for pause in pauses[5:-1])  # RFC 5321 §4.5.4.1


@given(st.integers(min_value=1, max_value=10**12), st.text())
def test_jitter_only_adds(attempt: int, seed: str) -> None:
    least_ms = RetrySchedule(jitter=0).delay_ms(attempt, seed=seed)
    assert least_ms <= SCHEDULE.delay_ms(attempt, seed=seed) <= least_ms * 1.25


def test_jitter_spreads_mails_that_were_deferred_together() -> None:
    delays = {SCHEDULE.delay_ms(6, seed=f"mail {n}") // MINUTE_MS for n in range(200)}
    assert delays == set(range(32, 40))


def test_a_delay_is_reported_after_four_hours() -> None:
    assert not SCHEDULE.notice_is_due(queued_ms=1, now_ms=4 * HOUR_MS)
    assert SCHEDULE.notice_is_due(queued_ms=1, now_ms=4 * HOUR_MS + 1)


@pytest.mark.parametrize(
    "settings", [{"first_ms": 0}, {"longest_ms": 1}, {"jitter": 2.0}, {"give_up_ms": 5}]
)
def test_a_schedule_that_cannot_be_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        RetrySchedule(**settings)


def test_attempts_count_from_one() -> None:
    with pytest.raises(ValueError):
        SCHEDULE.delay_ms(0, seed="a")
