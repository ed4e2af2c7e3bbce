"""Submission timer: sends held submissions when they are due.

Reads the held rows of the partitions of mail.submissions that this process owns. Publishes
submission.fire, with an id derived from the submission: several timers, or a timer after a crash,
publish the same command, and a submission that was canceled before it stays canceled. While the
stage does not handle a command, as during an outage, it is published again after REPEAT_S only.
While the wall clock is in doubt, a submission is sent once this process has seen it for as long as
it was to be held.

A store or the broker unreachable: Transient, the turn is repeated.
Safe to repeat: a submission that is no longer held does not change.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from mail.clock_guard import ClockGuard
from mail.ids import derived_command_id
from mail.ports import Publisher
from mail.ports.submissions import Submissions
from schemas.events.sending import FireSubmission
from schemas.ids import SubmissionId
from schemas.submissions import Submission

PAGE = 500  # rows per turn
FOREVER_MS = 2**62
REPEAT_S = 60.0  # between two commands for one submission


@dataclass(slots=True)
class SubmissionTimer:
    """The job. `fired` counts since the start of the process."""

    submissions: Submissions
    publisher: Publisher
    partitions: Callable[[], Collection[int]]
    clock: ClockGuard = field(default_factory=ClockGuard)
    clock_s: Callable[[], float] = time.monotonic
    fired: int = 0
    _seen_s: dict[SubmissionId, float] = field(default_factory=dict)
    _fired_s: dict[SubmissionId, float] = field(default_factory=dict)  # within REPEAT_S

    async def turn(self) -> None:
        """Send what is due, at most PAGE submissions."""
        is_doubtful = self.clock.moved() is not None
        until_ms = FOREVER_MS if is_doubtful else self.clock.now_ms()
        rows = await self.submissions.held(self.partitions(), until_ms=until_ms, limit=PAGE)
        due = self._held_long_enough(rows) if is_doubtful else rows
        since_s = self.clock_s() - REPEAT_S
        self._fired_s = {id_: at_s for id_, at_s in self._fired_s.items() if at_s > since_s}
        due = [row for row in due if row.submission_id not in self._fired_s]
        if due:
            await self.publisher.publish(*(self._fire(row) for row in due))
            self._fired_s |= {row.submission_id: self.clock_s() for row in due}
            self.fired += len(due)

    def _held_long_enough(self, rows: Sequence[Submission]) -> list[Submission]:
        """The rows whose hold has passed on the clock that cannot be set, since first seen here."""
        now_s = self.clock_s()
        self._seen_s = {
            row.submission_id: self._seen_s.get(row.submission_id, now_s) for row in rows
        }
        return [row for row in rows if now_s - self._seen_s[row.submission_id] >= _hold_s(row)]

    def _fire(self, row: Submission) -> FireSubmission:
        return FireSubmission(
            command_id=derived_command_id(row.submission_id, "fire"),
            user_id=row.user_id,
            domain_id=row.domain_id,
            submission_id=row.submission_id,
            at_ms=self.clock.now_ms(),
        )


def _hold_s(row: Submission) -> float:
    return (row.fire_at_ms - row.created_at_ms) / 1000
