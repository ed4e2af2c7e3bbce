"""Settled submissions: release their contents a day later, and delete their rows when old.

Reads final rows of the submission store, quarantine rows and the log. A submission holds its
contents from its acceptance on. By the time it is final, the messages that were made of it hold
them too, or the mail is in quarantine, or it is in the log on its way back to Drafts. The holders
are released `settle_ms` after the submission became final, unless its mail is in quarantine or in
the log; such rows are looked at again in a later walk. Nothing is released or deleted while the
wall clock is in doubt.

A store or the broker unreachable: Transient, the turn is repeated.
Safe to repeat: to release a holder again changes nothing.
"""

from dataclasses import dataclass

from agents.background.housekeeping import Housekeeping
from agents.ports import SettledSubmissionsPorts
from mail.clock import DAY_MS
from mail.ports.submissions import FIRST, SettledPlace
from mail.sending.submission_rows import contents_of, settled_at_ms
from schemas.holders import SUBMISSION_HOLDER
from schemas.submissions import Submission


@dataclass(slots=True, kw_only=True)
class SettledSubmissions:
    """The job. Counters start with the process."""

    ports: SettledSubmissionsPorts
    housekeeping: Housekeeping
    settle_ms: int = DAY_MS
    keep_ms: int = 35 * DAY_MS
    page: int = 500  # rows per turn
    released: int = 0
    deleted: int = 0
    _place: SettledPlace = FIRST  # where the walk continues

    async def turn(self) -> None:
        """Release the contents of settled submissions, and delete old rows, at most `page` each."""
        if not await self.housekeeping.allowed():
            return
        now_ms = self.housekeeping.guard.now_ms()
        submissions = self.ports.submissions
        settled = await submissions.settled(
            after=self._place, before_ms=now_ms - self.settle_ms, limit=self.page
        )
        unneeded = await self._unneeded(settled)
        if unneeded:
            await self.ports.holders.release_all(
                [
                    (mail_id, SUBMISSION_HOLDER)
                    for row in unneeded
                    for mail_id in contents_of(row.mail)
                ]
            )
            await submissions.set_released([row.submission_id for row in unneeded])
            self.released += len(unneeded)
        self._place = _place_of(settled[-1]) if len(settled) == self.page else FIRST
        self.deleted += await submissions.delete_released(
            before_ms=now_ms - self.keep_ms, limit=self.page
        )

    async def _unneeded(self, rows: list[Submission]) -> list[Submission]:
        """The rows whose mail is neither in quarantine nor in the log."""
        quarantined = {
            row.mail_id
            for row in await self.ports.quarantine.get_many([each.mail.mail_id for each in rows])
            if row.deleted_at_ms is None and row.released_at_ms is None
        }
        rows = [row for row in rows if row.mail.mail_id not in quarantined]
        ids = [mail_id for row in rows for mail_id in contents_of(row.mail)]
        waiting = await self.ports.in_flight.waiting(ids) if ids else {}
        return [row for row in rows if not waiting.keys() & set(contents_of(row.mail))]


def _place_of(row: Submission) -> SettledPlace:
    return settled_at_ms(row) or 0, row.submission_id
