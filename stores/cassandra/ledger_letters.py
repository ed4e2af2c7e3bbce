"""Dead letters of the ledger on Cassandra.

A dead letter is written, then its mail is opened again, then that is noted: a call that is repeated
after a kill opens the mail that was left.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import msgspec

from schemas.cql.ledger import LEDGER, LETTER, LETTER_OF_MAIL, StoredEntry, StoredLetter
from schemas.ids import MailId
from schemas.ledger import GONE, PARKED, DeadLetterState
from stores.cassandra.base import CassandraStore
from stores.cassandra.clock import now_us
from stores.cassandra.due_entries import DueEntries
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.session import CassandraSession, Statement

WINDOW = 500  # dead letters of the walk in one query
_OF_MAIL = LETTER_OF_MAIL.select("letter_id")
_OF_MAILS = "SELECT letter_id FROM letter_of_mail WHERE mail_id IN ?"
_decode = msgspec.msgpack.Decoder(StoredLetter).decode
_replace = msgspec.structs.replace


class LedgerLetters(CassandraStore, ABC):
    """The part of the ledger for dead letters; `reopen` is that of the ledger."""

    def __init__(self, session: CassandraSession) -> None:
        super().__init__(session)
        self.rows: GuardedRows[StoredEntry] = GuardedRows(session, LEDGER, StoredEntry)
        self.letters: GuardedRows[StoredLetter] = GuardedRows(session, LETTER, StoredLetter)
        self.look = DueEntries(session, "look")

    async def record_dead_letters(self, letters: Iterable[DeadLetterState]) -> None:
        for letter in letters:
            await self._record_letter(letter)

    async def _record_letter(self, letter: DeadLetterState) -> None:
        def recorded(known: StoredLetter | None) -> StoredLetter | None:
            if known is None:
                return StoredLetter(letter=letter) if letter.mail_id else None
            if letter.state in {PARKED, known.letter.state}:
                return known
            changed = _replace(known.letter, state=letter.state, at_ms=letter.at_ms)
            return StoredLetter(letter=changed)

        await self._put(
            letter.letter_id,
            await self.letters.change(letter.letter_id, to=recorded, first=_listed),
        )

    async def _put(self, letter_id: str, stored: StoredLetter | None) -> None:
        """Open the mail of a dead letter that was changed."""
        if stored is None or stored.is_reopened:
            return
        await self.reopen([stored.letter.mail_id], at_ms=0)
        done = _replace(stored, is_reopened=True)
        await self.letters.change(letter_id, to=lambda now: done if now == stored else now)

    async def relist_letters(self) -> None:
        """Write again what leads to the dead letters."""
        async for stored in self.letters.every():
            await self._session.write(_listed(stored))

    @abstractmethod
    async def reopen(self, mail_ids: Iterable[MailId], *, at_ms: int) -> None: ...

    async def mark_dead_letters_gone(self, *, epoch: str) -> int:
        """Walks over all dead letters."""
        gone, after = 0, ""
        while True:
            rows = await self._session.walk(LETTER, "letter_id, row", after=after, limit=WINDOW)
            for letter_id, row in rows:
                is_parked = _decode(row).letter.state == PARKED
                if is_parked and not letter_id.startswith(f"{epoch}/"):
                    gone += await self._mark_gone(letter_id)
            if len(rows) < WINDOW:
                return gone
            after = rows[-1][0]

    async def _mark_gone(self, letter_id: str) -> int:
        is_changed = False

        def marked(known: StoredLetter | None) -> StoredLetter | None:
            nonlocal is_changed
            is_changed = known is not None and known.letter.state == PARKED
            if known is None or not is_changed:
                return known
            return StoredLetter(letter=_replace(known.letter, state=GONE))

        await self._put(letter_id, await self.letters.change(letter_id, to=marked))
        return int(is_changed)

    async def dead_letters(self, mail_ids: Iterable[MailId]) -> list[DeadLetterState]:
        found = await self._session.read_by_keys(_OF_MAILS, keys=mail_ids)
        rows = await self.letters.get_many([letter_id for (letter_id,) in found])
        return [row.letter for row in rows if row is not None]

    async def forget_letters(self, mail_id: MailId) -> None:
        for (letter_id,) in await self._session.read(_OF_MAIL, mail_id):
            await self.letters.change(letter_id, to=lambda _: None)
            await self._session.write([(LETTER_OF_MAIL.delete(), (now_us(), mail_id, letter_id))])


def _listed(stored: StoredLetter) -> list[Statement]:
    return [(LETTER_OF_MAIL.put, (stored.letter.mail_id, stored.letter.letter_id, now_us()))]
