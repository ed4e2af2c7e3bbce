"""Content sweep: delete contents, and their outlines, without a holder in many consecutive turns.

Reads the content store and the outlines (a bounded part each turn), holders, quarantine rows and
the log. A content is loose if neither a holder nor a quarantine row names its mail, both before and
after a search of the log, and no unconsumed record in the log names it. A content that moves from a
holder to the log meanwhile was held at the first check; a content that moves from the log to a
holder is held at the second. The content store counts the consecutive turns at which a content was
loose, and deletes it at `SweepConfig.turns`.
The job reads no wall clock: the monotonic clock separates turns, and a new
process waits one interval before its first turn.
The released holders of a mail are deleted after its content, and then its outline. If the process
ends in between, or the mail never had a content, the outline is found by the walk of outlines,
counted in the same way, and deleted with the released holders.
Turns are skipped while a lease on the content store is renewed, as by a running backup. The sweep
ends a lease that was not renewed for `lease_s` of the monotonic clock.

A store or the broker unreachable: Transient, nothing is counted.
Safe to repeat: every store change is idempotent.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from agents.ports import SweepPorts
from schemas.content import Lease
from schemas.ids import MailId

log = logging.getLogger(__name__)
_DELETED_AT_ONCE = 100  # per transaction, for which other writers of the content store wait


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepConfig:
    """How long a content without holders stays, and how much one turn reads."""

    turns: int = 288  # consecutive turns until a content is deleted: a day or longer
    turn_s: float = 300.0  # shortest interval between turns; longer than any acceptance of a mail
    search_share: float = 0.05  # largest share of the time that searches of the log take
    lease_s: float = 900.0  # a lease ends after so long without renewal
    page: int = 500  # contents
    pages: int = 40  # pages of the walk per turn
    counted_max: int = 100_000  # contents with a count that are checked per turn

    def __post_init__(self) -> None:
        if self.turns < 2:
            msg = f"turns={self.turns}: one turn may fall between a content's put and its record"
            raise ValueError(msg)


@dataclass(slots=True)
class ContentSweeper:
    """The job. `deleted` counts since the start of the process; `leases` are as last read."""

    ports: SweepPorts
    config: SweepConfig = field(default_factory=SweepConfig)
    clock_s: Callable[[], float] = time.monotonic
    deleted: int = 0
    leases: list[Lease] = field(default_factory=list)
    _next_s: float = field(init=False)
    _place: str | None = None  # where the walk continues
    _outline_place: str = ""  # where the walk of outlines continues
    _counted_place: str = ""  # where the check of counted contents continues
    _begun: tuple[list[MailId], list[MailId]] | None = (
        None  # first check, if the search after it failed
    )
    _beats: dict[str, tuple[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._next_s = self.clock_s() + self.config.turn_s

    async def turn(self) -> None:
        """Do a turn if it is due. May be called at any time. Raises Transient."""
        await self._end_dead_leases()
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
        """Find loose contents and count the turn for them.

        A search of the log that fails is repeated at the next turn, after the same first check.
        """
        if self._begun is None:
            counted, candidates = await self._candidates()
            self._begun = counted, await self._unheld(candidates)
        counted, loose = self._begun
        waiting = await self.ports.in_flight.waiting(loose) if loose else {}
        self._begun = None
        loose = await self._unheld([ref for ref in loose if ref not in waiting])
        still_loose = frozenset(loose)
        await self._sweep(loose, [ref for ref in counted if ref not in still_loose])

    async def _sweep(self, loose: Sequence[MailId], held: Sequence[MailId]) -> None:
        sweep, turns = self.ports.contents.sweep, self.config.turns
        for some in _pieces(held, self.config.page):
            await sweep(loose=(), held=some, turns=turns)
        for some in _pieces(loose, _DELETED_AT_ONCE):
            expired = await sweep(loose=some, turns=turns)
            await self.ports.holders.forget_released(expired)
            await self.ports.outlines.delete(expired)
            self.deleted += len(expired)

    async def _candidates(self) -> tuple[list[MailId], list[MailId]]:
        """The contents that have a count; and those together with the next part of the walk."""
        counted: list[MailId] = []
        while len(counted) < self.config.counted_max:
            page = await self.ports.contents.loose(
                after=self._counted_place, limit=self.config.page
            )
            counted += page
            self._counted_place = page[-1] if len(page) == self.config.page else ""
            if not self._counted_place:
                break
        candidates = dict.fromkeys(counted)
        for _ in range(self.config.pages):
            refs, self._place = await self.ports.contents.walk(
                place=self._place, limit=self.config.page
            )
            candidates.update(dict.fromkeys(refs))
            if self._place is None:
                break
        candidates.update(dict.fromkeys(await self._outlined()))
        return counted, list(candidates)

    async def _outlined(self) -> list[MailId]:
        """The mails of the next part of the walk of outlines."""
        mail_ids: list[MailId] = []
        for _ in range(self.config.pages):
            page = await self.ports.outlines.ids(after=self._outline_place, limit=self.config.page)
            mail_ids += page
            self._outline_place = page[-1] if len(page) == self.config.page else ""
            if not self._outline_place:
                break
        return mail_ids

    async def _unheld(self, refs: Sequence[MailId]) -> list[MailId]:
        """The contents without holder and quarantine row; a reference is the mail's id."""
        unheld: list[MailId] = []
        for some in _pieces(refs, self.config.page):
            held = await self.ports.holders.any_held(some)
            rows = await self.ports.quarantine.get_many([ref for ref in some if ref not in held])
            held |= {row.mail_id for row in rows if row.deleted_at_ms is None}
            unheld += [ref for ref in some if ref not in held]
        return unheld

    async def _end_dead_leases(self) -> None:
        """End the leases that are no longer renewed; `leases` are the others."""
        now_s, beats, alive = self.clock_s(), self._beats, []
        self._beats = {}
        for lease in await self.ports.contents.leases():
            last_beats, since_s = beats.get(lease.lease_id, (lease.beats, now_s))
            if lease.beats != last_beats:
                since_s = now_s
            if now_s - since_s > self.config.lease_s:
                log.warning(
                    "lease %s (%s) is no longer renewed: ended", lease.lease_id, lease.purpose
                )
                await self.ports.contents.end_lease(lease.lease_id)
            else:
                self._beats[lease.lease_id] = lease.beats, since_s
                alive.append(lease)
        self.leases = alive


def _pieces(refs: Sequence[MailId], size: int) -> Iterator[Sequence[MailId]]:
    for first in range(0, len(refs), size):
        yield refs[first : first + size]
