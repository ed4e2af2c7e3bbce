"""sweep: contents that nobody needs are deleted.

Walks the content store, a bounded piece each turn. A content goes when it is older than the grace,
nobody holds it, no quarantine row names it, and no record of its mail waits in the log. Holders are
asked before the log is searched and again after: what moves from a holder into the log meanwhile
was held at the first look, what moves from the log to a holder is held at the second. So mail that
waits for an engine keeps its content however long it waits, and whatever its record's time.
A store or the broker away: Transient, nothing is deleted. Safe to repeat, and by several at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agents.ports import SweepPorts
from mail.times import DAY_MS, now_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepConfig:
    """How long a content without holders stays, and how much a turn looks at."""

    grace_ms: int = 7 * DAY_MS
    page: int = 500  # contents
    pages: int = 40  # in a turn


@dataclass(slots=True)
class Sweeper:
    """`place` is where the next turn goes on; `deleted` counts since the start of the process."""

    ports: SweepPorts
    config: SweepConfig = field(default_factory=SweepConfig)
    now_ms: Callable[[], int] = now_ms
    place: str | None = None
    deleted: int = 0

    async def turn(self) -> None:
        loose = await self._loose()
        if not loose:
            return
        waiting = await self.ports.in_flight.waiting(loose)
        for ref in await self._unheld([ref for ref in loose if ref not in waiting]):
            await self.ports.contents.delete(ref)
            self.deleted += 1

    async def _loose(self) -> list[str]:
        """Old contents of the next piece that nobody holds at this moment."""
        before_ms = self.now_ms() - self.config.grace_ms
        found: list[str] = []
        for _ in range(self.config.pages):
            refs, self.place = await self.ports.contents.older(
                before_ms=before_ms, place=self.place, limit=self.config.page
            )
            found += await self._unheld(refs)
            if self.place is None:
                break
        return found

    async def _unheld(self, refs: Sequence[str]) -> list[str]:
        """A content's reference is its mail's id."""
        held = await self.ports.holders.held(refs)
        rows = await self.ports.quarantine.get_many([ref for ref in refs if ref not in held])
        held |= {row.mail_id for row in rows if row.deleted_at_ms is None}
        return [ref for ref in refs if ref not in held]
