"""Ledger in memory."""

from collections.abc import Callable, Iterable

import msgspec

from mail.ids import message_id as id_of_message
from mail.ports import Ledger
from schemas.ids import MailId, MessageId, UserId
from schemas.ledger import (
    GONE,
    OPEN,
    PARKED,
    AcceptedMail,
    DeadLetterState,
    LedgerEntry,
    LedgerTotals,
    LogPlace,
    Observation,
    RecipientState,
)
from stores.memory.faults import FaultHook, no_fault, take_step

HEADERS_MAX = 100


class MemoryLedger(Ledger):
    """Steps for `fault`: write, read. `look_at_ms` contains the open mails only."""

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self.look_at_ms: dict[str, int] = {}
        self._entries: dict[str, LedgerEntry] = {}
        self._headers: dict[str, str] = {}
        self._letters: dict[str, DeadLetterState] = {}
        self._places: dict[MailId, LogPlace | None] = {}

    async def add(self, mails: Iterable[AcceptedMail]) -> int:
        rows = list(mails)
        await take_step(self.fault, "write")
        new: dict[MailId, AcceptedMail] = {}
        for mail in rows:
            place = self._places.setdefault(mail.mail_id, mail.place)
            self._places[mail.mail_id] = place if place == mail.place else None
            if mail.mail_id not in self._entries:
                new.setdefault(mail.mail_id, mail)
        for mail_id, mail in new.items():
            states: dict[UserId, RecipientState] = dict.fromkeys(mail.user_ids, OPEN)
            at_ms = mail.accepted_at_ms
            self._entries[mail_id] = LedgerEntry(
                mail_id=mail_id, accepted_at_ms=at_ms, states=states
            )
            self._headers[mail_id] = mail.message_id_header
            self.look_at_ms[mail_id] = at_ms
        return len(new)

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

    async def reopen(self, mail_ids: Iterable[MailId], *, at_ms: int) -> None:
        await take_step(self.fault, "write")
        for mail_id in mail_ids:
            self._reopen(mail_id, at_ms)

    async def due(self, *, now_ms: int, limit: int, horizon_ms: int) -> list[LedgerEntry]:
        await take_step(self.fault, "read")
        times = sorted((at_ms, id_) for id_, at_ms in self.look_at_ms.items())
        ids = [id_ for at_ms, id_ in times if at_ms <= now_ms]
        ids += [id_ for at_ms, id_ in times if at_ms > now_ms + horizon_ms]
        return [self._entries[id_] for id_ in ids[:limit]]

    async def record(self, observations: Iterable[Observation]) -> set[MailId]:
        await take_step(self.fault, "write")
        recorded = set()
        for observation in observations:
            mail_id = observation.mail_id
            if mail_id not in self.look_at_ms:
                continue
            if observation.reopened != self._entries[mail_id].reopened:
                continue
            recorded.add(mail_id)
            self._entries[mail_id] = msgspec.structs.replace(
                self._entries[mail_id],
                states=observation.states,
                missing_since_ms=observation.missing_since_ms,
            )
            self.look_at_ms.pop(mail_id, None)
            if observation.look_at_ms is not None:
                self.look_at_ms[mail_id] = observation.look_at_ms
            if observation.message_id_header:
                self._headers[mail_id] = observation.message_id_header
        return recorded

    async def get(self, mail_id: MailId) -> LedgerEntry | None:
        await take_step(self.fault, "read")
        return self._entries.get(mail_id)

    async def accepted(
        self, *, since_ms: int, until_ms: int, limit: int, after: tuple[int, str] | None = None
    ) -> list[LedgerEntry]:
        begin = after or (since_ms, "")
        entries = await self._where(lambda e: _order(e) > begin and e.accepted_at_ms < until_ms)
        return entries[:limit]

    async def list_of_user(
        self, user_id: UserId, *, since_ms: int, until_ms: int, limit: int
    ) -> list[LedgerEntry]:
        entries = await self._where(
            lambda e: user_id in e.states and since_ms <= e.accepted_at_ms < until_ms
        )
        return entries[::-1][:limit]

    async def list_by_header(self, message_id_header: str) -> list[LedgerEntry]:
        entries = await self._where(lambda e: self._headers[e.mail_id] == message_id_header != "")
        return entries[::-1][:HEADERS_MAX]

    async def by_message(self, message_id: MessageId) -> tuple[MailId, UserId] | None:
        await take_step(self.fault, "read")
        pairs = ((e.mail_id, user_id) for e in self._entries.values() for user_id in e.states)
        return next((pair for pair in pairs if id_of_message(*pair) == message_id), None)

    async def dead_letters(self, mail_ids: Iterable[MailId]) -> list[DeadLetterState]:
        ids = frozenset(mail_ids)
        await take_step(self.fault, "read")
        return [letter for letter in self._letters.values() if letter.mail_id in ids]

    async def places(self, mail_ids: Iterable[MailId]) -> dict[MailId, LogPlace]:
        ids = frozenset(mail_ids)
        await take_step(self.fault, "read")
        return {id_: place for id_, place in self._places.items() if place and id_ in ids}

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
        pruned = {entry.mail_id for entry in old[:limit]}
        for mail_id in pruned:
            del self._entries[mail_id], self._headers[mail_id], self._places[mail_id]
        letters = self._letters.items()
        self._letters = {id_: row for id_, row in letters if row.mail_id not in pruned}
        return len(pruned)

    async def _where(self, is_match: Callable[[LedgerEntry], bool]) -> list[LedgerEntry]:
        """Return the matching entries, oldest first."""
        await take_step(self.fault, "read")
        return sorted((entry for entry in self._entries.values() if is_match(entry)), key=_order)

    def _put(self, letter: DeadLetterState) -> None:
        self._letters[letter.letter_id] = letter
        self._reopen(letter.mail_id, 0)

    def _reopen(self, mail_id: MailId, at_ms: int) -> None:
        if mail_id in self._entries:
            entry = self._entries[mail_id]
            self._entries[mail_id] = msgspec.structs.replace(entry, reopened=entry.reopened + 1)
            self.look_at_ms[mail_id] = at_ms


def _order(entry: LedgerEntry) -> tuple[int, str]:
    return entry.accepted_at_ms, entry.mail_id
