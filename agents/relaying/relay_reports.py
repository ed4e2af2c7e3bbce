"""Relay reports: results of attempts go to the submissions, then settled mails are released.

Publishes submission.report with the id that the queue derived from mail, recipients and attempts.
A row with a result that is not reported is not sent again, so the submission misses no result.
A mail whose rows are all done and reported loses its holder; its rows are deleted later.

A store or the broker unreachable: Transient, the turn is repeated.
Safe to repeat: the submission ignores results that it has; releasing a holder again does nothing.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from agents.ports import RelayWorkPorts
from mail.clock import DAY_MS
from mail.clock_guard import ClockGuard
from schemas.events.sending import ReportOutcomes
from schemas.holders import relay_holder
from schemas.relay import RelayReport

PAGE = 100  # reports or mails per turn
POLL_S = 1.0
KEEP_MS = 7 * DAY_MS  # rows of settled mails, for operators


@dataclass(slots=True)
class RelayReports:
    """The job."""

    ports: RelayWorkPorts
    partitions: Callable[[], Collection[int]]
    clock: ClockGuard = field(default_factory=ClockGuard)
    reported: int = 0

    async def turn(self) -> None:
        """Report, release, delete; then wait until there may be more to do."""
        self.ports.recorded.clear()
        try:
            is_more = await self.report()
            await self.release()
        except Exception:
            await asyncio.sleep(POLL_S)
            raise
        if is_more:
            return
        try:
            async with asyncio.timeout(POLL_S):
                await self.ports.recorded.wait()
        except TimeoutError:
            return

    async def report(self) -> bool:
        """Publish at most PAGE reports; return whether there were as many."""
        queue = self.ports.queue
        reports = await queue.unreported(list(self.partitions()), limit=PAGE)
        if reports:
            await self.ports.publisher.publish(*map(_command, reports))
            await queue.set_reported([report.report_id for report in reports])
            self.reported += len(reports)
            self.ports.wake.set()  # reported rows may be due
        return len(reports) == PAGE

    async def release(self) -> None:
        """Release the holders of settled mails; delete rows of mails settled long ago."""
        queue = self.ports.queue
        settled = await queue.settled(limit=PAGE)
        if settled:
            await self.ports.holders.release_all(
                [(mail.mail_id, relay_holder(mail.destination)) for mail in settled]
            )
            await queue.set_released(settled)
        if self.clock.moved() is None:
            await queue.delete_released(before_ms=self.clock.now_ms() - KEEP_MS, limit=PAGE)


def _command(report: RelayReport) -> ReportOutcomes:
    return ReportOutcomes(
        command_id=report.report_id,
        user_id=report.mail.user_id,
        domain_id=report.mail.domain_id,
        submission_id=report.mail.submission_id,
        outcomes=report.results,
        at_ms=max(result.at_ms for result in report.results),
    )
