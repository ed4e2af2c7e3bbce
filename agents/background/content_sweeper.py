"""sweep: a content that had no holder for many turns in a row is deleted.

Reads the content store, a bounded piece each turn, holders, quarantine rows and the log. A content
is loose when neither a holder nor a quarantine row names its mail, before the log was searched and
after, and no record in the log that its reader has not finished names it. What moves from a holder
into the log meanwhile was held at the first look; what moves from the log to a holder is held at
the second. The content store counts the turns in a row at which a content was loose, and deletes
it at `SweepConfig.turns`. No wall clock is read: turns are apart by the monotonic clock, and a
process that has just started waits for as long before its first one.
Paused while a lease on the content store beats (a backup under way). A lease that has not beaten
for `lease_s`, by the monotonic clock too, is ended here.
A store or the broker away: Transient, nothing is counted. Safe to repeat.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from agents.ports import SweepPorts
from schemas.content import Lease

log = logging.getLogger(__name__)
_DELETED_AT_ONCE = 100  # in one transaction, which other writers of the content store wait for


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepConfig:
    """How long a content without holders stays, and how much a turn looks at."""

    turns: int = 288  # in a row: a day, or longer
    turn_s: float = 300.0  # between two turns, at least; more than an acceptance takes at most
    search_share: float = 0.05  # of the time, at most, is spent on searching the log
    lease_s: float = 900.0  # without a beat
    page: int = 500  # contents
    pages: int = 40  # of the walk, in a turn
    counted_max: int = 100_000  # contents with a count, in a turn

    def __post_init__(self) -> None:
        if self.turns < 2:
            msg = f"turns={self.turns}: one turn may fall between a content's put and its record"
            raise ValueError(msg)


@dataclass(slots=True)
class ContentSweeper:
    """`deleted` counts since the start of the process; `leases` are those of the last look."""

    ports: SweepPorts
    config: SweepConfig = field(default_factory=SweepConfig)
    clock_s: Callable[[], float] = time.monotonic
    deleted: int = 0
    leases: list[Lease] = field(default_factory=list)
    _next_s: float = field(init=False)
    _place: str | None = None  # where the walk goes on
    _counted_place: str = ""  # where the look at contents with a count goes on
    _begun: tuple[list[str], list[str]] | None = None  # first look of a search that did not end
    _beats: dict[str, tuple[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._next_s = self.clock_s() + self.config.turn_s

    async def turn(self) -> None:
        """One turn if it is due; may be called at any time. Transient."""
        await self._watch_leases()
        began_s = self.clock_s()
        if self.leases or began_s < self._next_s:
            return
        try:
            await self._count()
        finally:
            ended_s = self.clock_s()
            search_pause_s = (ended_s - began_s) / self.config.search_share
            self._next_s = ended_s + max(self.config.turn_s, search_pause_s)

    async def _count(self) -> None:
        """A search of the log that fails goes on at the next turn, behind the same first look."""
        if self._begun is None:
            counted, looked = await self._looked_at()
            self._begun = counted, await self._unheld(looked)
        counted, loose = self._begun
        waiting = await self.ports.in_flight.waiting(loose) if loose else {}
        self._begun = None
        loose = await self._unheld([ref for ref in loose if ref not in waiting])
        still = frozenset(loose)
        await self._sweep(loose, [ref for ref in counted if ref not in still])

    async def _sweep(self, loose: Sequence[str], held: Sequence[str]) -> None:
        sweep, turns = self.ports.contents.sweep, self.config.turns
        for some in _pieces(held, self.config.page):
            await sweep(loose=(), held=some, turns=turns)
        for some in _pieces(loose, _DELETED_AT_ONCE):
            self.deleted += len(await sweep(loose=some, turns=turns))

    async def _looked_at(self) -> tuple[list[str], list[str]]:
        """Contents that have a count; the same and the next piece of all."""
        counted: list[str] = []
        while len(counted) < self.config.counted_max:
            page = await self.ports.contents.loose(
                after=self._counted_place, limit=self.config.page
            )
            counted += page
            self._counted_place = page[-1] if len(page) == self.config.page else ""
            if not self._counted_place:
                break
        looked = dict.fromkeys(counted)
        for _ in range(self.config.pages):
            refs, self._place = await self.ports.contents.walk(
                place=self._place, limit=self.config.page
            )
            looked.update(dict.fromkeys(refs))
            if self._place is None:
                break
        return counted, list(looked)

    async def _unheld(self, refs: Sequence[str]) -> list[str]:
        """A content's reference is its mail's id."""
        found: list[str] = []
        for some in _pieces(refs, self.config.page):
            held = await self.ports.holders.any_held(some)
            rows = await self.ports.quarantine.get_many([ref for ref in some if ref not in held])
            held |= {row.mail_id for row in rows if row.deleted_at_ms is None}
            found += [ref for ref in some if ref not in held]
        return found

    async def _watch_leases(self) -> None:
        """End those whose owner is gone; `leases` are the others."""
        now_s, beats, living = self.clock_s(), self._beats, []
        self._beats = {}
        for lease in await self.ports.contents.leases():
            known, since_s = beats.get(lease.lease_id, (lease.beats, now_s))
            if lease.beats != known:
                since_s = now_s
            if now_s - since_s > self.config.lease_s:
                log.warning("lease %s (%s) does not beat: ended", lease.lease_id, lease.purpose)
                await self.ports.contents.end_lease(lease.lease_id)
            else:
                self._beats[lease.lease_id] = lease.beats, since_s
                living.append(lease)
        self.leases = living


def _pieces(refs: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for first in range(0, len(refs), size):
        yield refs[first : first + size]
