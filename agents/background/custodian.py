"""custody: the ledger follows each accepted mail to a terminal state for every recipient.

Reads mail.received and dead.letters with a consumer group of its own, and writes the ledger. Then
checks at growing intervals where the open mails are: mail store, quarantine, dead letters; after a
minute without a result also the log. A mail that two searches in a row do not find is missing: it
is reported, and searched for until it is found. The job publishes nothing, so it may be stopped for
any time; records are not deleted from the log before they are entered here.
Holds contents for dead letters. Releases the holders of dead letters and of quarantine once the
mail is delivered or discarded.
An observation is recorded only if nothing was done about the mail meanwhile: the entry is reopened
when its dead letter is redriven or the mail is released from quarantine.
Searching the log takes time in proportion to the backlog, so searches take at most a twentieth of
the time, failed searches included. A search that was cut short is resumed.

A store or the broker unreachable: Transient, the turn ends and is repeated.
Safe to repeat: to enter a mail or to record an observation again changes nothing.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import (
    Callable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field

import msgspec

from agents.background.housekeeping import Housekeeping
from agents.ports import CustodyPorts
from mail.clock import DAY_MS, now_ms
from mail.clock_guard import SILENCE_MAX_DAYS, ClockGuard
from mail.ledger.locator import MailLocation, locate
from schemas.holders import (
    DEAD_LETTERS_HOLDER,
    QUARANTINE_HOLDER,
    Holder,
    dead_letter_holder,
    kind_of_holder,
)
from schemas.ids import UserId
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
    RecipientState,
)

log = logging.getLogger(__name__)
NOT_TERMINAL = {OPEN, IN_FLIGHT}
KIND_OF_STATE = {QUARANTINED: QUARANTINE_HOLDER, PARKED: DEAD_LETTERS_HOLDER}


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyConfig:
    """Intervals and sizes of the checks."""

    settle_ms: int = 5_000  # age of a mail at its first check; a younger mail is under way
    suspect_ms: int = 60_000  # age from which a mail that is not found is searched in the log
    look_floor_ms: int = 1_000  # shortest interval between checks of an open mail
    look_cap_ms: int = 600_000  # longest interval between checks of an open mail
    search_pause_ms: int = 30_000  # shortest interval between two searches of the log
    search_share: float = 0.05  # largest share of the time that searches take
    batch: int = 500  # mails per check
    search_max: int = 100_000  # mails per search
    keep_days: int = 35  # age at which closed entries are deleted


@dataclass(slots=True)
class Custodian:
    """The ledger job. Counters start with the process; `totals` are those of the whole ledger."""

    ports: CustodyPorts
    epoch: str = ""  # of dead.letters: dead letters of another epoch no longer exist
    config: CustodyConfig = field(default_factory=CustodyConfig)
    now_ms: Callable[[], int] = now_ms
    clock_s: Callable[[], float] = time.monotonic
    guard: ClockGuard = field(default_factory=ClockGuard)
    accepted: int = 0
    closed: Counter[str] = field(default_factory=Counter)
    totals: LedgerTotals | None = None
    _search_at_s: float = float("-inf")  # of clock_s
    _unfinished: Sequence[LedgerEntry] = ()  # mails of a search that was cut short
    _not_found: set[str] = field(default_factory=set)  # mails that the last search did not find
    _epoch_begun: bool = False
    _housekeeping: Housekeeping = field(init=False)
    _acting: asyncio.Lock = field(default_factory=asyncio.Lock)  # holders are added or released

    def __post_init__(self) -> None:
        """Limit the guard's `silence_max_days` to `keep_days`.

        After `keep_days` the ledger is empty, and without a newest mail the guard doubts nothing.
        """
        self._housekeeping = Housekeeping(
            ledger=self.ports.ledger,
            what="ledger entries",
            guard=self.guard,
            silence_max_days=min(SILENCE_MAX_DAYS, self.config.keep_days),
        )

    async def take(self, mails: Sequence[AcceptedMail], letters: Sequence[DeadLetterState]) -> None:
        """Enter records of the log into the ledger; the same records may be entered again."""
        if mails:
            self.accepted += await self.ports.ledger.add(mails)
        if letters:
            known = [self._in_epoch(letter) for letter in letters]
            async with self._acting:
                await self.ports.holders.hold(
                    Holder(
                        mail_id=letter.mail_id,
                        holder=dead_letter_holder(letter.letter_id),
                        ref=letter.ref,
                    )
                    for letter in known
                    if letter.ref
                )
                await self.ports.ledger.record_dead_letters(known)

    async def turn(self) -> None:
        """Check the open mails that are due, search the log if that is due, delete old entries."""
        now_ms = self.now_ms()
        await self._begin_epoch()
        suspects = await self._check_due(now_ms)
        try:
            if (suspects or self._unfinished) and self.clock_s() >= self._search_at_s:
                await self._search(self._unfinished or suspects[: self.config.search_max])
        finally:
            await self._delete_old(now_ms)

    async def _begin_epoch(self) -> None:
        """Reopen mails whose dead letters were in a log of another epoch, once per process."""
        if self._epoch_begun:
            return
        lost = await self.ports.ledger.mark_dead_letters_gone(epoch=self.epoch)
        if lost:
            log.warning(
                "%d dead letters were in a log that no longer exists: their mails are open again",
                lost,
            )
        self._epoch_begun = True

    async def _check_due(self, now_ms: int) -> list[LedgerEntry]:
        """Check each due mail once, even if it is reopened meanwhile; return the suspects."""
        suspects: list[LedgerEntry] = []
        checked: set[str] = set()
        while due := await self._due(now_ms):
            entries = [entry for entry in due if entry.mail_id not in checked]
            if not entries:
                break
            checked.update(entry.mail_id for entry in entries)
            locations = await self._locate(entries)
            await self._record([self._observe(each, now_ms) for each in locations], locations)
            suspects += [each.entry for each in locations if self._is_suspect(each, now_ms)]
        return suspects

    async def _delete_old(self, now_ms: int) -> None:
        if await self._housekeeping.allowed():
            before_ms = now_ms - self.config.keep_days * DAY_MS
            await self.ports.ledger.prune(before_ms=before_ms, limit=1_000)
        self.totals = await self.ports.ledger.totals()

    def warnings(self) -> list[str]:
        """Sentences for the operator: missing mails, suspended deletion."""
        count = self.totals.missing_mails if self.totals else 0
        missing = [f"{count} mails are missing: postriver audit"] if count else []
        return missing + self._housekeeping.warnings()

    def _in_epoch(self, letter: DeadLetterState) -> DeadLetterState:
        return msgspec.structs.replace(letter, letter_id=f"{self.epoch}/{letter.letter_id}")

    async def _due(self, now_ms: int) -> list[LedgerEntry]:
        config = self.config
        return await self.ports.ledger.due(
            now_ms=now_ms - config.settle_ms,
            limit=config.batch,
            horizon_ms=config.settle_ms + 2 * config.look_cap_ms,
        )

    async def _locate(
        self, entries: Sequence[LedgerEntry], waiting: dict[str, frozenset[str]] | None = None
    ) -> list[MailLocation]:
        ports = self.ports
        recorded = await ports.ledger.dead_letters(entry.mail_id for entry in entries)
        letters = [each for each in recorded if each.letter_id.startswith(f"{self.epoch}/")]
        return await locate(
            entries, ports.store, ports.quarantine, dead_letters=letters, waiting=waiting
        )

    def _is_suspect(self, location: MailLocation, now_ms: int) -> bool:
        """Whether the mail must be searched for in the log."""
        age_ms = now_ms - location.entry.accepted_at_ms
        return age_ms >= self.config.suspect_ms and not _is_terminal(location.states())

    def _observe(self, location: MailLocation, now_ms: int) -> Observation:
        """The observation of a mail, with the time of the next check while the mail is open.

        The interval is half of the mail's age; for a suspect, the time until the next search.
        """
        states = {user: _recorded(state) for user, state in location.states().items()}
        pause_ms: float = (now_ms - location.entry.accepted_at_ms) // 2
        if OPEN in location.states().values() and self._is_suspect(location, now_ms):
            pause_ms = (self._search_at_s - self.clock_s()) * 1000
        pause_ms = min(max(pause_ms, self.config.look_floor_ms), self.config.look_cap_ms)
        open_ = OPEN in states.values()
        return Observation(
            mail_id=location.entry.mail_id,
            reopened=location.entry.reopened,
            states=states,
            look_at_ms=now_ms + int(pause_ms) if open_ else None,
            missing_since_ms=location.entry.missing_since_ms if open_ else None,
            message_id_header=location.message_id_header,
        )

    async def _search(self, suspects: Sequence[LedgerEntry]) -> None:
        """Search the log, then check the stores again: mail moves from the log to the stores."""
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
            batch = suspects[first : first + self.config.batch]
            locations = await self._locate(batch, waiting)
            await self._record([self._conclude(each, now_ms) for each in locations], locations)

    def _conclude(self, location: MailLocation, now_ms: int) -> Observation:
        """The observation after a search. A mail is missing if two searches did not find it.

        One search may miss a mail that was redriven or released during the search; two do not.
        """
        observation, mail_id = self._observe(location, now_ms), location.entry.mail_id
        if OPEN not in location.states().values():
            self._not_found.discard(mail_id)
            return msgspec.structs.replace(observation, missing_since_ms=None)
        if mail_id not in self._not_found:
            self._not_found.add(mail_id)
            return observation
        if location.entry.missing_since_ms is None:
            log.error(
                "mail %s is missing: it was accepted and is in no store and not in the log", mail_id
            )
        since_ms = location.entry.missing_since_ms or now_ms
        return msgspec.structs.replace(observation, missing_since_ms=since_ms)

    async def _record(
        self, observations: Sequence[Observation], locations: Sequence[MailLocation]
    ) -> None:
        """Record observations; then release holders, but not while dead letters are entered."""
        async with self._acting:
            recorded = await self.ports.ledger.record(observations)
            for observation, location in zip(observations, locations, strict=True):
                if observation.mail_id in recorded:
                    await self._act_on(observation, location)

    async def _act_on(self, observation: Observation, location: MailLocation) -> None:
        before = location.entry
        if before.missing_since_ms is not None and observation.missing_since_ms is None:
            log.warning("mail %s is found again", before.mail_id)
        if observation.look_at_ms is None:
            self._not_found.discard(before.mail_id)
            self.closed.update(observation.states.values())
            await self._release_holders(location, observation)

    async def _release_holders(self, location: MailLocation, observation: Observation) -> None:
        """Release the holders of quarantine and dead letters that no terminal state needs."""
        earlier = {*location.entry.states.values(), *(PARKED for _ in location.dead_letters)}
        ended = {
            kind
            for state, kind in KIND_OF_STATE.items()
            if state in earlier and state not in observation.states.values()
        }
        if ended:
            held = await self.ports.holders.list(observation.mail_id)
            await self.ports.holders.release_all(
                (row.mail_id, row.holder) for row in held if kind_of_holder(row.holder) in ended
            )


def _is_terminal(states: Mapping[UserId, RecipientState]) -> bool:
    return not NOT_TERMINAL & set(states.values())


def _recorded(state: RecipientState) -> RecipientState:
    return OPEN if state in NOT_TERMINAL else state
