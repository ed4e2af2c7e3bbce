"""Ledger on Cassandra.

A mail is one row, changed by a lightweight transaction. Three lists by time name it, each entry
with the version of the row: `look` when the custodian looks at the mail, `open` and `missing` by
the time of acceptance for totals. Entries are written before the row, and the row decides.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from mail.ids import message_id as id_of_message
from mail.ledger.states import short_hash
from mail.ports import Ledger
from schemas.cql.ledger import (
    LEDGER_TABLES,
    MAIL_OF,
    MAIL_OF_MESSAGE,
    PERIOD_MS,
    PERIOD_OF,
    StoredEntry,
)
from schemas.ids import MailId, MessageId, UserId
from schemas.ledger import OPEN, AcceptedMail, LedgerEntry, LedgerTotals, LogPlace, Observation
from stores.cassandra.clock import now_us
from stores.cassandra.due_entries import (
    FOREVER_MS,
    LAST_KEY,
    DueEntries,
    DueEntry,
    DueState,
    Place,
    any_of,
    by_key,
)
from stores.cassandra.guarded_rows import Change
from stores.cassandra.ledger_letters import LedgerLetters
from stores.cassandra.session import CassandraSession, Statement

HEADERS_MAX = 100
WINDOW = 500  # mails of a name in one query
_OF_MESSAGE = MAIL_OF_MESSAGE.select("mail_id, user_id")
_PERIODS = PERIOD_OF.select("period", "AND period >= ? AND period <= ?")
_MAILS = MAIL_OF.select(
    "accepted_at_ms, mail_id",
    "AND (accepted_at_ms) >= (?) AND (accepted_at_ms, mail_id) < (?, ?) LIMIT ?",
)
_replace = msgspec.structs.replace


class CassandraLedger(LedgerLetters, Ledger):
    """Ledger over a session."""

    schemas = {"ledger": LEDGER_TABLES}  # noqa: RUF012

    def __init__(self, session: CassandraSession) -> None:
        super().__init__(session)
        self._accepted = DueEntries(session, "accepted", is_list=True)
        self._open = DueEntries(session, "open", is_list=True)
        self._missing = DueEntries(session, "missing", is_list=True)
        self._due = by_key(self.rows, _is_due)

    async def add(self, mails: Iterable[AcceptedMail]) -> int:
        of_mail: dict[MailId, list[AcceptedMail]] = defaultdict(list)
        for mail in mails:
            of_mail[mail.mail_id].append(mail)
        new: dict[MailId, bool] = {}

        def added(row: StoredEntry | None, group: Sequence[AcceptedMail]) -> StoredEntry | None:
            new[group[0].mail_id] = row is None
            for mail in group:
                if row is None:
                    row = _new(mail)
                elif row.place != mail.place:
                    row = _replace(row, place=None)
            return row

        await self._change_all({id_: partial(added, group=each) for id_, each in of_mail.items()})
        return sum(new.values())

    async def _change_all(self, changes: Mapping[MailId, Change[StoredEntry]]) -> None:
        """Change rows; entries that only the rows before had are deleted afterwards."""
        stale: dict[MailId, list[Statement]] = {}

        def changed(row: StoredEntry | None, to: Change[StoredEntry]) -> StoredEntry | None:
            after = to(row)
            if row is None or after is None or after == row:
                return after
            stale[row.mail_id] = self._removals(row)
            return _replace(after, version=row.version + 1)

        await self.rows.change_all(
            {mail_id: partial(changed, to=to) for mail_id, to in changes.items()},
            first=self._leading_to,
        )
        await self._session.write([one for removals in stale.values() for one in removals])

    def _leading_to(self, rows: Sequence[StoredEntry]) -> list[Statement]:
        """The statements that lead to rows, each once: rows share names and slots."""
        at_us = now_us()
        return list(dict.fromkeys(one for row in rows for one in self._leading(row, at_us)))

    def _leading(self, row: StoredEntry, at_us: int) -> list[Statement]:
        """The statements that lead to a row."""
        found = self._first(row, at_us) if row.version == 1 else []
        at_ms, key = row.entry.accepted_at_ms, row.mail_id
        if row.header_hash is not None:
            found += _named(f"header:{row.header_hash}", at_ms, key, at_us)
        if row.look_at_ms is None:
            return found
        found += self.look.put(key, due_at_ms=row.look_at_ms, version=row.version, at_us=at_us)
        for each in self._counted(row):
            found += each.put(key, due_at_ms=at_ms, version=row.version, at_us=at_us)
        return found

    def _first(self, row: StoredEntry, at_us: int) -> list[Statement]:
        """The statements that lead to a new row for as long as it exists."""
        at_ms, key = row.entry.accepted_at_ms, row.mail_id
        found = self._accepted.put(key, due_at_ms=at_ms, at_us=at_us)
        for user_id in row.entry.states:
            message = (id_of_message(key, user_id), key, user_id, at_us)
            found += [
                *_named(f"user:{user_id}", at_ms, key, at_us),
                (MAIL_OF_MESSAGE.put, message),
            ]
        return found

    async def relist(self) -> None:
        """Write again what leads to the rows, after a restore. Raises StoreUnavailable."""
        await self.relist_letters()
        async for row in self.rows.every():
            at_us = now_us()
            await self._session.write([*self._first(row, at_us), *self._leading(row, at_us)])

    def _counted(self, row: StoredEntry) -> list[DueEntries]:
        """The lists that count an open mail."""
        return [self._open, *([self._missing] if row.entry.missing_since_ms is not None else [])]

    def _removals(self, row: StoredEntry) -> list[Statement]:
        if row.look_at_ms is None:
            return []
        key, at_ms, version = row.mail_id, row.entry.accepted_at_ms, row.version
        return [
            self.look.removal(key, due_at_ms=row.look_at_ms, version=version),
            *(each.removal(key, due_at_ms=at_ms, version=version) for each in self._counted(row)),
        ]

    async def reopen(self, mail_ids: Iterable[MailId], *, at_ms: int) -> None:
        def reopened(row: StoredEntry | None) -> StoredEntry | None:
            if row is None:
                return None
            entry = _replace(row.entry, reopened=row.entry.reopened + 1)
            return _replace(row, entry=entry, look_at_ms=at_ms)

        await self._change_all(dict.fromkeys(mail_ids, reopened))

    async def due(self, *, now_ms: int, limit: int, horizon_ms: int) -> list[LedgerEntry]:
        found = await self.look.rows(self._due, until_ms=now_ms, limit=limit)
        if len(found) < limit:
            place = (now_ms + horizon_ms, LAST_KEY)
            rest = limit - len(found)
            found += await self.look.rows(self._due, until_ms=FOREVER_MS, limit=rest, after=place)
        return [row.entry for row in found]

    async def record(self, observations: Iterable[Observation]) -> set[MailId]:
        of_mail: dict[MailId, list[Observation]] = defaultdict(list)
        for seen in observations:
            of_mail[seen.mail_id].append(seen)
        done: dict[MailId, bool] = {}

        def recorded(row: StoredEntry | None, group: Sequence[Observation]) -> StoredEntry | None:
            done[group[0].mail_id] = False
            for seen in group:
                is_open = row is not None and row.look_at_ms is not None
                if row is not None and is_open and row.entry.reopened == seen.reopened:
                    row = _observed(row, seen)
                    done[seen.mail_id] = True
            return row

        await self._change_all(
            {id_: partial(recorded, group=each) for id_, each in of_mail.items()}
        )
        return {mail_id for mail_id, is_done in done.items() if is_done}

    async def totals(self) -> LedgerTotals:
        """The numbers may include mails that were closed moments ago."""
        opened, missing = await asyncio.gather(self._open.count(), self._missing.count())
        oldest = await self._open.rows(by_key(self.rows, _is_open), until_ms=FOREVER_MS, limit=1)
        return LedgerTotals(
            open_mails=opened,
            missing_mails=missing,
            oldest_open_at_ms=oldest[0].entry.accepted_at_ms if oldest else None,
        )

    async def get(self, mail_id: MailId) -> LedgerEntry | None:
        row = await self.rows.get(mail_id)
        return row.entry if row else None

    async def accepted(
        self, *, since_ms: int, until_ms: int, limit: int, after: tuple[int, str] | None = None
    ) -> list[LedgerEntry]:
        place: Place = after or (since_ms, "")
        found = await self._accepted.rows(
            any_of(self.rows), until_ms=until_ms - 1, limit=limit, after=place
        )
        return [row.entry for row in found]

    async def list_of_user(
        self, user_id: UserId, *, since_ms: int, until_ms: int, limit: int
    ) -> list[LedgerEntry]:
        found: list[LedgerEntry] = []
        async for rows in self._of_name(f"user:{user_id}", since_ms, until_ms):
            found += [row.entry for row in rows]
            if len(found) >= limit:
                break
        return found[:limit]

    async def list_by_header(self, message_id_header: str) -> list[LedgerEntry]:
        found: list[LedgerEntry] = []
        header_hash = short_hash(message_id_header)
        async for rows in self._of_name(f"header:{header_hash}", 0, FOREVER_MS):
            found += [row.entry for row in rows if row.header_hash == header_hash]
            if len(found) >= HEADERS_MAX:
                break
        return found[:HEADERS_MAX]

    async def _of_name(
        self, name: str, since_ms: int, until_ms: int
    ) -> AsyncIterator[list[StoredEntry]]:
        """Yield the mails of a name, newest first."""
        first, last = since_ms // PERIOD_MS, (until_ms - 1) // PERIOD_MS
        for (period,) in await self._session.read(_PERIODS, name, first, last):
            place: Place = (until_ms, "")
            while True:
                values = (name, period, since_ms, *place, WINDOW)
                found = await self._session.read(_MAILS, *values)
                rows = await self.rows.get_many([mail_id for _, mail_id in found])
                yield [row for row in rows if row is not None]
                if len(found) < WINDOW:
                    break
                place = (found[-1][0], found[-1][1])

    async def by_message(self, message_id: MessageId) -> tuple[MailId, UserId] | None:
        rows = await self._session.read(_OF_MESSAGE, message_id)
        return (rows[0][0], rows[0][1]) if rows else None

    async def places(self, mail_ids: Iterable[MailId]) -> dict[MailId, LogPlace]:
        rows = await self.rows.get_many(list(mail_ids))
        return {row.mail_id: row.place for row in rows if row is not None and row.place}

    async def newest_accepted_ms(self) -> int | None:
        return await self._accepted.newest_ms()

    async def prune(self, *, before_ms: int, limit: int) -> int:
        rows = await self._accepted.rows(self._closed, until_ms=before_ms - 1, limit=limit)
        await asyncio.gather(*map(self._forget, rows))
        return len(rows)

    async def _closed(self, entries: Sequence[DueEntry]) -> list[StoredEntry | DueState]:
        rows = await any_of(self.rows)(entries)
        return [
            DueState.EARLY if isinstance(row, StoredEntry) and row.look_at_ms is not None else row
            for row in rows
        ]

    async def _forget(self, row: StoredEntry) -> None:
        """Delete what leads to the mail, its dead letters, and then the mail."""
        at_ms, key = row.entry.accepted_at_ms, row.mail_id
        names = [f"user:{user_id}" for user_id in row.entry.states]
        if row.header_hash is not None:
            names.append(f"header:{row.header_hash}")
        at_us = now_us()
        messages = [id_of_message(key, user_id) for user_id in row.entry.states]
        places = [(at_us, name, at_ms // PERIOD_MS, at_ms, key) for name in names]
        await self.forget_letters(key)
        await self._session.write(
            [
                *((MAIL_OF.delete(), place) for place in places),
                *((MAIL_OF_MESSAGE.delete(), (at_us, message)) for message in messages),
            ]
        )
        await self.rows.change(
            key, to=lambda now: None if now is not None and now.look_at_ms is None else now
        )
        await self._session.write([self._accepted.removal(key, due_at_ms=at_ms)])


def _is_due(row: StoredEntry, entry: DueEntry) -> bool:
    return row.look_at_ms == entry.due_at_ms


def _is_open(row: StoredEntry, _: DueEntry) -> bool:
    return row.look_at_ms is not None


def _named(name: str, at_ms: int, mail_id: MailId, at_us: int) -> list[Statement]:
    """The statements that list a mail under a name."""
    period = at_ms // PERIOD_MS
    return [
        (MAIL_OF.put, (name, period, at_ms, mail_id, at_us)),
        (PERIOD_OF.put, (name, period, at_us)),
    ]


def _new(mail: AcceptedMail) -> StoredEntry:
    """The row of a new mail. Its first check is due at once."""
    header = mail.message_id_header
    return StoredEntry(
        entry=LedgerEntry(
            mail_id=mail.mail_id,
            accepted_at_ms=mail.accepted_at_ms,
            states=dict.fromkeys(mail.user_ids, OPEN),
        ),
        look_at_ms=mail.accepted_at_ms,
        header_hash=short_hash(header) if header else None,
        place=mail.place,
    )


def _observed(row: StoredEntry, seen: Observation) -> StoredEntry:
    header = seen.message_id_header
    entry = _replace(row.entry, states=seen.states, missing_since_ms=seen.missing_since_ms)
    return _replace(
        row,
        entry=entry,
        look_at_ms=seen.look_at_ms,
        header_hash=short_hash(header) if header else row.header_hash,
    )
