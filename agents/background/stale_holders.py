"""Stale holders: release holders of quarantine and dead letters that are no longer needed.

The ledger job releases these holders when it closes a mail. Some remain: the ledger deletes old
entries, and a quarantine command may be killed.
Reads the holders of these two names, quarantine rows, dead.letters from its beginning, and the log.
A holder is stale if its quarantine row is deleted or missing, or its dead letter is not parked, and
this is so both before and after a search of the log; if no record of its mail is in the log; and if
the ledger does not have the mail as open. A missing mail therefore keeps its content. The
content itself is deleted by the content sweep.

A store or the broker unreachable: Transient, nothing is released.
Safe to repeat: releasing a holder again changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agents.ports import StaleHolderPorts
from schemas.holders import DEAD_LETTERS_HOLDER, QUARANTINE_HOLDER, Holder
from schemas.ids import MailId
from schemas.ledger import OPEN, PARKED

PAGE = 500  # rows


@dataclass(slots=True)
class StaleHolders:
    """The job. `released` counts holders since the start of the process."""

    ports: StaleHolderPorts
    released: int = 0

    async def turn(self) -> None:
        """Find and release stale holders.

        Holders are read before rows and dead letters, because they are written after those.
        """
        quarantined = await self._held_by(QUARANTINE_HOLDER)
        parked = await self._held_by(DEAD_LETTERS_HOLDER)
        quarantined, parked = await self._unneeded(quarantined, parked)
        if not quarantined and not parked:
            return
        waiting = await self.ports.in_flight.waiting(_mail_ids([*quarantined, *parked]))
        quarantined, parked = await self._unneeded(
            [row for row in quarantined if row.mail_id not in waiting],
            [row for row in parked if row.mail_id not in waiting],
        )
        await self._release([*quarantined, *parked])

    async def _held_by(self, kind: str) -> list[Holder]:
        holders: list[Holder] = []
        after = ("", "")
        while page := await self.ports.holders.held_by(kind, after=after, limit=PAGE):
            holders += page
            after = page[-1].mail_id, page[-1].holder
        return holders

    async def _unneeded(
        self, quarantined: Sequence[Holder], parked: Sequence[Holder]
    ) -> tuple[list[Holder], list[Holder]]:
        """The holders, by kind, that no row, no dead letter and no open entry needs."""
        mail_ids = sorted(_mail_ids(quarantined))
        rows: set[str] = set()
        for first in range(0, len(mail_ids), PAGE):
            some = await self.ports.quarantine.get_many(mail_ids[first : first + PAGE])
            rows |= {row.mail_id for row in some if row.deleted_at_ms is None}
        letters = await self.ports.dead_letters.since(0) if parked else []
        waiting = {letter.mail_id for letter in letters if letter.state == PARKED}
        return await self._closed(quarantined, rows), await self._closed(parked, waiting)

    async def _closed(self, holders: Sequence[Holder], needed: Collection[str]) -> list[Holder]:
        """The holders of mails that are not in `needed` and have no open entry in the ledger."""
        closed = []
        for row in holders:
            if row.mail_id in needed:
                continue
            entry = await self.ports.ledger.get(row.mail_id)
            if entry is None or OPEN not in entry.states.values():
                closed.append(row)
        return closed

    async def _release(self, holders: Sequence[Holder]) -> None:
        await self.ports.holders.release_all((row.mail_id, row.holder) for row in holders)
        self.released += len(holders)


def _mail_ids(holders: Sequence[Holder]) -> set[MailId]:
    return {row.mail_id for row in holders}
