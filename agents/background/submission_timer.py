"""Submission timer: sends held submissions when they are due.

Reads the held rows of the partitions of mail.submissions that this process owns. Publishes
submission.fire, with an id derived from the submission: several timers, or a timer after a crash,
publish the same command, and a submission that was canceled before it stays canceled.
While the wall clock is in doubt, a submission is sent once this process has seen it for as long as
it was to be held.

A store or the broker unreachable: Transient, the turn is repeated.
Safe to repeat: a submission that is no longer held does not change.
"""

import time
from collections.abc import Callable, Collection
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

    async def turn(self) -> None:
        """Send what is due, at most PAGE submissions."""
        is_doubtful = self.clock.moved() is not None
        until_ms = FOREVER_MS if is_doubtful else self.clock.now_ms()
        rows = await self.submissions.held(self.partitions(), until_ms=until_ms, limit=PAGE)
        due = [row for row in rows if self._was_held_here(row)] if is_doubtful else rows
        if due:
            await self.publisher.publish(*(self._fire(row) for row in due))
            self.fired += len(due)

    def _was_held_here(self, row: Submission) -> bool:
        """Whether the row's hold has passed on the clock that cannot be set."""
        since_s = self._seen_s.setdefault(row.submission_id, self.clock_s())
        return self.clock_s() - since_s >= (row.fire_at_ms - row.created_at_ms) / 1000

    def _fire(self, row: Submission) -> FireSubmission:
        self._seen_s.pop(row.submission_id, None)
        return FireSubmission(
            command_id=derived_command_id(row.submission_id, "fire"),
            user_id=row.user_id,
            domain_id=row.domain_id,
            submission_id=row.submission_id,
            at_ms=self.clock.now_ms(),
        )
