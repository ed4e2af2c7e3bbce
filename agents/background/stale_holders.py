"""leftovers: holders of quarantine and dead letters that nothing needs any more are released.

The ledger lets go of them when it closes a mail, but it forgets mails, and a command may be killed.
Reads all holders of these two names, quarantine rows, dead.letters from its beginning, the log.
A holder is left over when its row is deleted or missing, or its letter is not parked, before the
log was searched and after; no record of its mail waits; and the ledger does not have it as open.
A missing mail therefore keeps its content. The content itself is left to the sweep.
A store or the broker away: Transient, nothing is released. Safe to repeat.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agents.ports import StaleHolderPorts
from schemas.holders import DEAD_LETTERS_HOLDER, QUARANTINE_HOLDER
from schemas.ledger import OPEN, PARKED

PAGE = 500


@dataclass(slots=True)
class StaleHolders:
    """`released` counts since the start of the process."""

    ports: StaleHolderPorts
    released: int = 0

    async def turn(self) -> None:
        """Holders are read before what they are for, since they are written after it."""
        quarantined = await self._held_by(QUARANTINE_HOLDER)
        parked = await self._held_by(DEAD_LETTERS_HOLDER)
        quarantined, parked = await self._unneeded(quarantined, parked)
        if not quarantined and not parked:
            return
        waiting = await self.ports.in_flight.waiting({*quarantined, *parked})
        quarantined, parked = await self._unneeded(
            [mail_id for mail_id in quarantined if mail_id not in waiting],
            [mail_id for mail_id in parked if mail_id not in waiting],
        )
        await self._release(QUARANTINE_HOLDER, quarantined)
        await self._release(DEAD_LETTERS_HOLDER, parked)

    async def _held_by(self, holder: str) -> list[str]:
        found: list[str] = []
        while page := await self.ports.holders.held_by(
            holder, after=found[-1] if found else "", limit=PAGE
        ):
            found += [one.mail_id for one in page]
        return found

    async def _unneeded(
        self, quarantined: Sequence[str], parked: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        rows: set[str] = set()
        for first in range(0, len(quarantined), PAGE):
            some = await self.ports.quarantine.get_many(quarantined[first : first + PAGE])
            rows |= {row.mail_id for row in some if row.deleted_at_ms is None}
        letters = await self.ports.letters.since(0) if parked else []
        waiting = {letter.mail_id for letter in letters if letter.state == PARKED}
        return await self._closed(quarantined, rows), await self._closed(parked, waiting)

    async def _closed(self, mail_ids: Sequence[str], needed: Collection[str]) -> list[str]:
        """Those that are not `needed` and that the ledger has closed or forgotten."""
        found = []
        for mail_id in mail_ids:
            if mail_id in needed:
                continue
            entry = await self.ports.ledger.get(mail_id)
            if entry is None or OPEN not in entry.states.values():
                found.append(mail_id)
        return found

    async def _release(self, holder: str, mail_ids: Sequence[str]) -> None:
        await self.ports.holders.release_all((mail_id, holder) for mail_id in mail_ids)
        self.released += len(mail_ids)
