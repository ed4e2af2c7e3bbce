"""custody: every mail that got its 250 has an end for each of its owners, or is looked for.

Reads mail.received and dead.letters beside the river, and writes the ledger. Then looks, again and
again, where the open mails have got to: mail store, quarantine, dead letters; for those that are
nowhere after a minute, the log itself. What is nowhere twice in a row is missing: that is shouted,
and looked for ever after. Changes nothing in the river, so it may be stopped for any time; nothing
is trimmed before it was entered here.
Holds contents for dead letters, and lets go of them and of quarantine's once they are delivered.
A mark counts only if nothing was done about the mail since it was looked at: who acts reopens it.
A store or the broker away: Transient, the turn ends and is repeated. Safe to repeat throughout.
Searching the log costs what the backlog is long, so it is done for a twentieth of the time at most,
failures included; a search that was cut short goes on where it ended.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from agents.background.housekeeping import Housekeeping
from agents.ports import CustodyPorts
from mail.clock import DAY_MS, now_ms
from mail.clock_guard import SILENCE_MAX_DAYS, ClockGuard
from mail.ledger.locator import MailLocation, look
from schemas.holders import DEAD_LETTERS_HOLDER, QUARANTINE_HOLDER, Holder
from schemas.ledger import (
    IN_FLIGHT,
    OPEN,
    PARKED,
    QUARANTINED,
    AcceptedMail,
    DeadLetterState,
    LedgerEntry,
    LedgerTotals,
    Observation,
)

log = logging.getLogger(__name__)
WAITING = {OPEN, IN_FLIGHT}
KEPT = {QUARANTINED: QUARANTINE_HOLDER, PARKED: DEAD_LETTERS_HOLDER}


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyConfig:
    """How soon custody looks, and how often."""

    settle_ms: int = 5_000  # before that a mail is on its way, and looking is in vain
    suspect_ms: int = 60_000  # nowhere so long after its 250: the log is searched
    look_floor_ms: int = 1_000  # the shortest pause between looks at an open mail
    look_cap_ms: int = 600_000  # the longest
    search_pause_ms: int = 30_000  # the shortest between two searches of the log
    search_share: float = 0.05  # of the time, at most
    batch: int = 500
    search_max: int = 100_000  # mails looked for in one search
    keep_days: int = 35


@dataclass(slots=True)
class Custodian:
    """Its counters are since the start of the process; `totals` are of the whole ledger."""

    ports: CustodyPorts
    epoch: str = ""  # of dead.letters: letters of another log are no longer there
    config: CustodyConfig = field(default_factory=CustodyConfig)
    now_ms: Callable[[], int] = now_ms
    clock_s: Callable[[], float] = time.monotonic
    guard: ClockGuard = field(default_factory=ClockGuard)
    accepted: int = 0
    closed: Counter[str] = field(default_factory=Counter)
    totals: LedgerTotals | None = None
    _search_at_s: float = float("-inf")  # of clock_s
    _unfinished: Sequence[LedgerEntry] = ()  # what a search that was cut short looked for
    _doubted: set[str] = field(default_factory=set)  # nowhere at the last search
    _epoch_begun: bool = False
    _housekeeping: Housekeeping = field(init=False)
    _acting: asyncio.Lock = field(default_factory=asyncio.Lock)  # letters noted, holders let go

    def __post_init__(self) -> None:
        """A ledger that keeps fewer days would be empty before the guard doubts anything."""
        self._housekeeping = Housekeeping(
            ledger=self.ports.ledger,
            what="ledger entries",
            guard=self.guard,
            silence_max_days=min(SILENCE_MAX_DAYS, self.config.keep_days),
        )

    async def take(self, mails: Sequence[AcceptedMail], letters: Sequence[DeadLetterState]) -> None:
        """Write down what the log says; may be told the same again."""
        if mails:
            self.accepted += await self.ports.ledger.add(mails)
        if letters:
            async with self._acting:
                await self.ports.holders.hold(
                    Holder(mail_id=one.mail_id, holder=DEAD_LETTERS_HOLDER, ref=one.ref)
                    for one in letters
                    if one.ref
                )
                await self.ports.ledger.record_dead_letters(self._in_epoch(one) for one in letters)

    async def turn(self) -> None:
        """One look at every open mail that is due, a search if one is due, the housekeeping."""
        now_ms = self.now_ms()
        await self._begin_epoch()
        suspects = await self._look_at_due(now_ms)
        try:
            if (suspects or self._unfinished) and self.clock_s() >= self._search_at_s:
                await self._search(self._unfinished or suspects[: self.config.search_max])
        finally:
            await self._keep_house(now_ms)

    async def _begin_epoch(self) -> None:
        """Letters of another log are no ends: their mails are looked for again."""
        if self._epoch_begun:
            return
        lost = await self.ports.ledger.mark_dead_letters_gone(epoch=self.epoch)
        if lost:
            log.warning("%d dead letters were in a log that is gone: their mails are open", lost)
        self._epoch_begun = True

    async def _look_at_due(self, now_ms: int) -> list[LedgerEntry]:
        """Each once, also when it is reopened meanwhile. Those to be searched for in the log."""
        suspects: list[LedgerEntry] = []
        seen: set[str] = set()
        while found := await self._due(now_ms):
            entries = [entry for entry in found if entry.mail_id not in seen]
            if not entries:
                break
            seen.update(entry.mail_id for entry in entries)
            sights = await self._look(entries)
            await self._mark([self._found(sight, now_ms) for sight in sights], sights)
            suspects += [one.entry for one in sights if self._is_suspect(one, now_ms)]
        return suspects

    async def _keep_house(self, now_ms: int) -> None:
        if await self._housekeeping.allowed():
            before_ms = now_ms - self.config.keep_days * DAY_MS
            await self.ports.ledger.prune(before_ms=before_ms, limit=1_000)
        self.totals = await self.ports.ledger.totals()

    def warnings(self) -> list[str]:
        """What an operator must know, whatever else is well."""
        missing = self.totals.missing_mails if self.totals else 0
        lost = [f"{missing} mails are missing: postriver audit"] if missing else []
        return lost + self._housekeeping.warnings()

    def _in_epoch(self, letter: DeadLetterState) -> DeadLetterState:
        return msgspec.structs.replace(letter, letter_id=f"{self.epoch}/{letter.letter_id}")

    async def _due(self, now_ms: int) -> list[LedgerEntry]:
        config = self.config
        return await self.ports.ledger.due(
            now_ms=now_ms - config.settle_ms,
            limit=config.batch,
            horizon_ms=config.settle_ms + 2 * config.look_cap_ms,
        )

    async def _look(
        self, entries: Sequence[LedgerEntry], waiting: dict[str, frozenset[str]] | None = None
    ) -> list[MailLocation]:
        ports = self.ports
        noted = await ports.ledger.dead_letters(entry.mail_id for entry in entries)
        letters = [one for one in noted if one.letter_id.startswith(f"{self.epoch}/")]
        return await look(entries, ports.store, ports.quarantine, letters=letters, waiting=waiting)

    def _is_suspect(self, sight: MailLocation, now_ms: int) -> bool:
        age_ms = now_ms - sight.entry.accepted_at_ms
        return age_ms >= self.config.suspect_ms and not _ended(sight.states())

    def _found(self, sight: MailLocation, now_ms: int) -> Observation:
        """Open mails are looked at less often as they grow older."""
        states = {user: _known(state) for user, state in sight.states().items()}
        pause_ms: float = (now_ms - sight.entry.accepted_at_ms) // 2
        if OPEN in sight.states().values() and self._is_suspect(sight, now_ms):
            pause_ms = (self._search_at_s - self.clock_s()) * 1000
        pause_ms = min(max(pause_ms, self.config.look_floor_ms), self.config.look_cap_ms)
        open_ = OPEN in states.values()
        return Observation(
            mail_id=sight.entry.mail_id,
            reopened=sight.entry.reopened,
            states=states,
            look_at_ms=now_ms + int(pause_ms) if open_ else None,
            missing_since_ms=sight.entry.missing_since_ms if open_ else None,
            message_id_header=sight.message_id_header,
        )

    async def _search(self, suspects: Sequence[LedgerEntry]) -> None:
        """The log first, then the stores once more: mail moves from the one to the other."""
        began_s = self.clock_s()
        self._unfinished = suspects
        try:
            waiting = await self.ports.in_flight.waiting({entry.mail_id for entry in suspects})
        finally:
            ended_s = self.clock_s()
            took_s = (ended_s - began_s) / self.config.search_share
            self._search_at_s = ended_s + max(self.config.search_pause_ms / 1000, took_s)
        self._unfinished = ()
        now_ms = self.now_ms()
        for first in range(0, len(suspects), self.config.batch):
            sights = await self._look(suspects[first : first + self.config.batch], waiting)
            await self._mark([self._judged(sight, now_ms) for sight in sights], sights)

    def _judged(self, sight: MailLocation, now_ms: int) -> Observation:
        """A mail that somebody has just acted on may slip through one search, not through two."""
        found, mail_id = self._found(sight, now_ms), sight.entry.mail_id
        if OPEN not in sight.states().values():
            self._doubted.discard(mail_id)
            return msgspec.structs.replace(found, missing_since_ms=None)
        if mail_id not in self._doubted:
            self._doubted.add(mail_id)
            return found
        if sight.entry.missing_since_ms is None:
            log.error("mail %s is missing: it was accepted and is nowhere", mail_id)
        since_ms = sight.entry.missing_since_ms or now_ms
        return msgspec.structs.replace(found, missing_since_ms=since_ms)

    async def _mark(self, looks: Sequence[Observation], sights: Sequence[MailLocation]) -> None:
        """Who holds a content is changed behind the mark, and not while a letter is noted."""
        async with self._acting:
            marked = await self.ports.ledger.record(looks)
            for found, sight in zip(looks, sights, strict=True):
                if found.mail_id in marked:
                    await self._act_on(found, sight)

    async def _act_on(self, found: Observation, sight: MailLocation) -> None:
        before = sight.entry
        if before.missing_since_ms is not None and found.missing_since_ms is None:
            log.warning("mail %s is found again", before.mail_id)
        if found.look_at_ms is None:
            self._doubted.discard(before.mail_id)
            self.closed.update(found.states.values())
            await self._let_go(sight, found)

    async def _let_go(self, sight: MailLocation, found: Observation) -> None:
        """A content that was kept for a person is its owners' alone now."""
        was = {*sight.entry.states.values(), *(PARKED for _ in sight.letters)}
        for state, holder in KEPT.items():
            if state in was and state not in found.states.values():
                await self.ports.holders.release(found.mail_id, holder)


def _ended(states: dict[str, str]) -> bool:
    return not WAITING & set(states.values())


def _known(state: str) -> str:
    return OPEN if state in WAITING else state
