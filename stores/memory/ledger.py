"""Ledger in memory."""

from collections.abc import Callable, Iterable

import msgspec

from mail.ids import message_id as id_of_message
from mail.ports import Ledger
from schemas.ledger import (
    GONE,
    OPEN,
    PARKED,
    AcceptedMail,
    DeadLetterState,
    LedgerEntry,
    LedgerTotals,
    Observation,
)
from stores.memory.faults import FaultHook, no_fault, take_step

HEADERS_MAX = 100


class MemoryLedger(Ledger):
    """Steps that `fault` meets: write, read. `look_at_ms` has the open mails alone."""

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self.look_at_ms: dict[str, int] = {}
        self._entries: dict[str, LedgerEntry] = {}
        self._headers: dict[str, str] = {}
        self._letters: dict[str, DeadLetterState] = {}

    async def add(self, mails: Iterable[AcceptedMail]) -> int:
        await take_step(self.fault, "write")
        fresh = {mail.mail_id: mail for mail in mails if mail.mail_id not in self._entries}
        for mail_id, mail in fresh.items():
            states = dict.fromkeys(mail.user_ids, OPEN)
            at_ms = mail.accepted_at_ms
            self._entries[mail_id] = LedgerEntry(
                mail_id=mail_id, accepted_at_ms=at_ms, states=states
            )
            self._headers[mail_id] = mail.message_id_header
            self.look_at_ms[mail_id] = at_ms
        return len(fresh)

    async def record_dead_letters(self, letters: Iterable[DeadLetterState]) -> None:
        await take_step(self.fault, "write")
        for letter in letters:
            known = self._letters.get(letter.letter_id)
            if (letter.state == PARKED) if known else not letter.mail_id:
                continue
            state, at_ms = letter.state, letter.at_ms
            self._put(msgspec.structs.replace(known or letter, state=state, at_ms=at_ms))

    async def mark_dead_letters_gone(self, *, epoch: str) -> int:
        await take_step(self.fault, "write")
        lost = [
            letter
            for letter in self._letters.values()
            if letter.state == PARKED and not letter.letter_id.startswith(f"{epoch}/")
        ]
        for letter in lost:
            self._put(msgspec.structs.replace(letter, state=GONE))
        return len(lost)

    async def reopen(self, mail_ids: Iterable[str], *, at_ms: int) -> None:
        await take_step(self.fault, "write")
        for mail_id in mail_ids:
            self._reopen(mail_id, at_ms)

    async def due(self, *, now_ms: int, limit: int, horizon_ms: int) -> list[LedgerEntry]:
        await take_step(self.fault, "read")
        times = sorted((at_ms, id_) for id_, at_ms in self.look_at_ms.items())
        found = [id_ for at_ms, id_ in times if at_ms <= now_ms]
        found += [id_ for at_ms, id_ in times if at_ms > now_ms + horizon_ms]
        return [self._entries[id_] for id_ in found[:limit]]

    async def record(self, observations: Iterable[Observation]) -> set[str]:
        await take_step(self.fault, "write")
        marked = set()
        for look in observations:
            if look.mail_id not in self.look_at_ms:
                continue
            if look.reopened != self._entries[look.mail_id].reopened:
                continue
            marked.add(look.mail_id)
            self._entries[look.mail_id] = msgspec.structs.replace(
                self._entries[look.mail_id],
                states=look.states,
                missing_since_ms=look.missing_since_ms,
            )
            self.look_at_ms.pop(look.mail_id, None)
            if look.look_at_ms is not None:
                self.look_at_ms[look.mail_id] = look.look_at_ms
            if look.message_id_header:
                self._headers[look.mail_id] = look.message_id_header
        return marked

    async def get(self, mail_id: str) -> LedgerEntry | None:
        await take_step(self.fault, "read")
        return self._entries.get(mail_id)

    async def accepted(
        self, *, since_ms: int, until_ms: int, limit: int, after: tuple[int, str] | None = None
    ) -> list[LedgerEntry]:
        begin = after or (since_ms, "")
        found = await self._where(lambda e: _order(e) > begin and e.accepted_at_ms < until_ms)
        return found[:limit]

    async def list_of_user(
        self, user_id: str, *, since_ms: int, until_ms: int, limit: int
    ) -> list[LedgerEntry]:
        found = await self._where(
            lambda e: user_id in e.states and since_ms <= e.accepted_at_ms < until_ms
        )
        return found[::-1][:limit]

    async def list_by_header(self, message_id_header: str) -> list[LedgerEntry]:
        found = await self._where(lambda e: self._headers[e.mail_id] == message_id_header != "")
        return found[::-1][:HEADERS_MAX]

    async def by_message(self, message_id: str) -> tuple[str, str] | None:
        await take_step(self.fault, "read")
        pairs = ((e.mail_id, user_id) for e in self._entries.values() for user_id in e.states)
        return next((pair for pair in pairs if id_of_message(*pair) == message_id), None)

    async def dead_letters(self, mail_ids: Iterable[str]) -> list[DeadLetterState]:
        wanted = frozenset(mail_ids)
        await take_step(self.fault, "read")
        return [letter for letter in self._letters.values() if letter.mail_id in wanted]

    async def totals(self) -> LedgerTotals:
        await take_step(self.fault, "read")
        opened = [self._entries[mail_id] for mail_id in self.look_at_ms]
        return LedgerTotals(
            open_mails=len(opened),
            missing_mails=sum(entry.missing_since_ms is not None for entry in opened),
            oldest_open_at_ms=min((entry.accepted_at_ms for entry in opened), default=None),
        )

    async def newest_accepted_ms(self) -> int | None:
        await take_step(self.fault, "read")
        return max((entry.accepted_at_ms for entry in self._entries.values()), default=None)

    async def prune(self, *, before_ms: int, limit: int) -> int:
        old = await self._where(
            lambda e: e.accepted_at_ms < before_ms and e.mail_id not in self.look_at_ms
        )
        gone = {entry.mail_id for entry in old[:limit]}
        for mail_id in gone:
            del self._entries[mail_id], self._headers[mail_id]
        kept = {id_: one for id_, one in self._letters.items() if one.mail_id not in gone}
        self._letters = kept
        return len(gone)

    async def _where(self, fits: Callable[[LedgerEntry], bool]) -> list[LedgerEntry]:
        """Oldest first."""
        await take_step(self.fault, "read")
        return sorted((entry for entry in self._entries.values() if fits(entry)), key=_order)

    def _put(self, letter: DeadLetterState) -> None:
        self._letters[letter.letter_id] = letter
        self._reopen(letter.mail_id, 0)

    def _reopen(self, mail_id: str, at_ms: int) -> None:
        if mail_id in self._entries:
            entry = self._entries[mail_id]
            self._entries[mail_id] = msgspec.structs.replace(entry, reopened=entry.reopened + 1)
            self.look_at_ms[mail_id] = at_ms


def _order(entry: LedgerEntry) -> tuple[int, str]:
    return entry.accepted_at_ms, entry.mail_id
