"""What operators read and change in the relay queue on Cassandra.

Counts and loads read an entry for each open mail, not the mails: an entry has the numbers of rows
in its key.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from typing import NamedTuple

from mail.pagination import check_limit
from mail.ports.relay_queue import NO_KEY, RelayAction, RelayQueueAdmin
from mail.sending.relay_actions import changed, key_of, meets
from schemas.cql.relay import StoredRelay
from schemas.relay import (
    AGES_MS,
    HELD,
    WAITING,
    DestinationLoad,
    OldestRows,
    QueuedRecipient,
    RelayFilter,
    RelayKey,
    RelayRow,
    RelayState,
)
from stores.cassandra.clock import id_time_ms
from stores.cassandra.due_entries import BEGIN, FOREVER_MS, DueEntry, DueState, Place, each
from stores.cassandra.relay_queue import mails
from stores.cassandra.relay_queue.mails import RelayMails, next_ms, with_rows

PAGE = 100  # mails in one part of a walk
ALL = 2**31 - 1  # entries


class _OpenMail(NamedTuple):
    """The numbers of rows of a mail that are not done."""

    destination: str
    queued_at_ms: int
    waiting: int
    held: int


class RelayAdministration(RelayMails, RelayQueueAdmin):
    """The base class of CassandraRelayQueue."""

    async def forget(self, stored: StoredRelay) -> None:
        """Delete the entry that leads to the mail for as long as it exists."""
        due_ms = id_time_ms(stored.mail.mail_id)
        await self._session.write([self.every.removal(mails.key_of(stored), due_at_ms=due_ms)])

    async def find(
        self, conditions: RelayFilter, *, after: RelayKey = NO_KEY, limit: int
    ) -> list[QueuedRecipient]:
        check_limit(limit)
        found: list[QueuedRecipient] = []
        async for stored in self._walk(conditions, after):
            rows = sorted(stored.rows, key=key_of)
            found += [
                QueuedRecipient(row=row, mail=stored.mail)
                for row in rows
                if key_of(row) > after and meets(row, conditions) and _is_meant(stored, conditions)
            ]
            if len(found) >= limit:
                break
        return found[:limit]

    async def _walk(self, conditions: RelayFilter, after: RelayKey) -> AsyncIterator[StoredRelay]:
        """Yield mails by ascending id and destination, from that of `after`."""
        first = max(after[0], conditions.mail_id)
        place: Place = (id_time_ms(first), f"{first}/") if first else BEGIN
        if first == after[0] and first:
            place = (place[0], f"{first}/{after[1]}")
            if own := await self.mails.get(first, after[1]):
                yield own
        last = conditions.mail_id
        until_ms = id_time_ms(last) if last else FOREVER_MS
        while True:
            found = await self.every.rows(
                each(self._of_list), until_ms=until_ms, limit=PAGE, after=place
            )
            for stored in found:
                if last and stored.mail.mail_id > last:
                    return
                yield stored
            if len(found) < PAGE:
                return
            key = mails.key_of(found[-1])
            place = (id_time_ms(found[-1].mail.mail_id), key)

    async def _of_list(self, entry: DueEntry) -> StoredRelay | DueState:
        mail_id, _, destination = entry.key.partition("/")
        return await self.mails.get(mail_id, destination) or DueState.EARLY

    async def change(
        self, keys: Sequence[RelayKey], action: RelayAction, *, at_ms: int
    ) -> list[RelayKey]:
        groups = groupby(sorted(keys), key=lambda key: key[:2])
        found = await asyncio.gather(
            *(self._act(list(group), action, at_ms=at_ms) for _, group in groups)
        )
        return [key for keys in found for key in keys]

    async def _act(
        self, keys: Sequence[RelayKey], action: RelayAction, *, at_ms: int
    ) -> list[RelayKey]:
        done: list[RelayRow] = []

        def acted(stored: StoredRelay | None) -> StoredRelay | None:
            if stored is None:
                return None
            chosen = [row for row in stored.rows if key_of(row) in keys]
            after = [changed(row, action, at_ms=at_ms) for row in chosen]
            done[:] = [row for row in after if row is not None]
            return with_rows(stored, done)

        await self.change_mail(keys[0][0], keys[0][1], acted)
        return [key_of(row) for row in done]

    async def loads(self, *, now_ms: int, limit: int) -> list[DestinationLoad]:
        check_limit(limit)
        by_destination: dict[str, list[_OpenMail]] = {}
        for mail in await self._open_mails():
            by_destination.setdefault(mail.destination, []).append(mail)
        found = [_load(name, some, now_ms) for name, some in by_destination.items()]
        return sorted(found, key=lambda load: (-load.rows, load.destination))[:limit]

    async def counts(self) -> dict[RelayState, int]:
        found = await self._open_mails()
        numbers: dict[RelayState, int] = {
            WAITING: sum(mail.waiting for mail in found),
            HELD: sum(mail.held for mail in found),
        }
        return {state: number for state, number in numbers.items() if number}

    async def _open_mails(self) -> list[_OpenMail]:
        """The newest entry of each open mail."""
        entries = await self.unfinished.due(until_ms=FOREVER_MS, limit=ALL)
        newest: dict[str, DueEntry] = {}
        for entry in sorted(entries, key=lambda each: each.version):
            newest[entry.key.rsplit("/", 2)[0]] = entry
        return [_open_mail(entry) for entry in newest.values()]

    async def oldest(self) -> OldestRows:
        def is_waiting(stored: StoredRelay) -> bool:
            return any(row.state == WAITING for row in stored.rows)

        queued, due = await asyncio.gather(
            self.unfinished.rows(self._waiting, until_ms=FOREVER_MS, limit=1),
            self.next.rows(
                self.judge(lambda stored: next_ms(stored) is not None),
                until_ms=FOREVER_MS,
                limit=1,
            ),
        )
        return OldestRows(
            queued_at_ms=queued[0].mail.queued_at_ms if queued else None,
            due_at_ms=next_ms(due[0]) if due else None,
        )

    async def _waiting(self, entries: Sequence[DueEntry]) -> list[StoredRelay | DueState]:
        """The mails of entries, if rows of them wait; a mail whose rows are held is passed."""
        judged = await self.judge(lambda _: True, lambda key: key.rsplit("/", 2)[0])(entries)
        return [
            one
            if isinstance(one, DueState) or any(row.state == WAITING for row in one.rows)
            else DueState.EARLY
            for one in judged
        ]


def _is_meant(stored: StoredRelay, conditions: RelayFilter) -> bool:
    mail = stored.mail
    before_ms = conditions.queued_before_ms
    return (
        conditions.mail_id in {"", mail.mail_id}
        and conditions.destination in {"", mail.destination}
        and conditions.user_id in {"", mail.user_id}
        and (before_ms is None or mail.queued_at_ms < before_ms)
    )


def _open_mail(entry: DueEntry) -> _OpenMail:
    key, waiting, held = entry.key.rsplit("/", 2)
    return _OpenMail(key.partition("/")[2], entry.due_at_ms, int(waiting), int(held))


def _load(destination: str, some: Sequence[_OpenMail], now_ms: int) -> DestinationLoad:
    return DestinationLoad(
        destination=destination,
        rows=sum(mail.waiting + mail.held for mail in some),
        held=sum(mail.held for mail in some),
        oldest_queued_at_ms=min(mail.queued_at_ms for mail in some),
        by_age=tuple(
            sum(mail.waiting + mail.held for mail in some if mail.queued_at_ms <= now_ms - age_ms)
            for age_ms in AGES_MS
        ),
    )
