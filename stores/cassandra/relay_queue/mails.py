"""Mails of the relay queue with their rows, and the lists by time that lead to them.

A mail and its rows for one destination are one row of Cassandra: a step of the queue is one
lightweight transaction. Every version has its own entries in the lists; those of the version before
are deleted afterwards, or by a reader.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from mail.sending.relay_rows import is_open
from schemas.cql.relay import RELAY, RELAY_MAIL, RELAY_REPORT, StoredRelay
from schemas.ids import MailId
from schemas.relay import DONE, HELD, WAITING, RelayRow
from stores.cassandra.base import CassandraStore
from stores.cassandra.clock import id_time_ms, now_us
from stores.cassandra.due_entries import DueEntries, DueEntry, DueState, Judge, each, verdict
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.relay_queue.turns import ONE_SHARD, Turns
from stores.cassandra.session import CassandraSession, Statement

Change = Callable[[StoredRelay | None], StoredRelay | None]


class _Leading(NamedTuple):
    """An entry that leads to a version of a mail."""

    entries: DueEntries
    key: str
    due_at_ms: int
    shard: int | None = None


class RelayMails(CassandraStore):
    """The mails, and what leads to them."""

    schemas = {"relay": RELAY}  # noqa: RUF012

    def __init__(self, session: CassandraSession) -> None:
        super().__init__(session)
        self.mails: GuardedRows[StoredRelay] = GuardedRows(session, RELAY_MAIL, StoredRelay)
        self.turns = Turns(session)
        self.every = DueEntries(session, "relay mail", is_list=True)  # by the time of the mail id
        self.next = DueEntries(session, "relay next", is_list=True)  # by the earliest attempt
        self.claims = DueEntries(session, "relay claim", is_list=True)  # by partition
        self.reports = DueEntries(session, "relay report", is_list=True)  # by partition
        self.unfinished = DueEntries(session, "relay open", is_list=True)  # by queued_at_ms
        self.settled_mails = DueEntries(session, "relay settled", is_list=True)
        self.released_mails = DueEntries(session, "relay released", is_list=True)

    async def change_mail(self, mail_id: MailId, destination: str, to: Change) -> None:
        """Replace a mail by that which `to` returns for it. Raises what `to` raises."""
        before: StoredRelay | None = None

        def changed(stored: StoredRelay | None) -> StoredRelay | None:
            nonlocal before
            before = None
            after = to(stored)
            if stored is None or after is None or after == stored:
                return after
            before = stored
            return msgspec.structs.replace(after, version=stored.version + 1)

        await self.mails.change(
            mail_id, destination, to=changed, first=self._leading, prepare=self._woken
        )
        if before is not None:
            await self._session.write(
                [
                    one.entries.removal(
                        one.key, due_at_ms=one.due_at_ms, version=before.version, shard=one.shard
                    )
                    for one in (*self._listed(before), *self._queued(before))
                ]
            )

    def _leading(self, stored: StoredRelay) -> list[Statement]:
        """The statements that lead to a version of a mail."""
        key, version, found = key_of(stored), stored.version, list[Statement]()
        if version == 1:
            found += self.every.put(key, due_at_ms=id_time_ms(stored.mail.mail_id))
        for one in (*self._listed(stored), *self._queued(stored)):
            found += one.entries.put(
                one.key, due_at_ms=one.due_at_ms, version=version, shard=one.shard
            )
        place = (stored.mail.mail_id, stored.mail.destination, now_us())
        reports = {row.report_id for row in stored.rows if row.report_id}
        found += [(RELAY_REPORT.put, (report_id, *place)) for report_id in sorted(reports)]
        return found

    async def relist(self) -> None:
        """Write again what leads to the mails, after a restore. Raises StoreUnavailable.

        Contents of settled mails are released once more: a holder may be older than its row.
        """
        async for stored in self.mails.every():
            held = _unreleased(stored) or stored
            mail_id, destination = stored.mail.mail_id, stored.mail.destination
            every = self.every.put(key_of(held), due_at_ms=id_time_ms(mail_id))
            await self._session.write([*every, *self._leading(held)])
            await self._woken(held)
            await self.mails.change(mail_id, destination, to=_unreleased)

    def _queued(self, stored: StoredRelay) -> list[_Leading]:
        """The entry of a version in the queue of its destination."""
        if (due_ms := next_ms(stored)) is None:
            return []
        queue = self.turns.queue(stored.mail.destination, stored.rows[0].partition)
        return [_Leading(queue, key_of(stored), due_ms, ONE_SHARD[0])]

    async def _woken(self, stored: StoredRelay) -> None:
        if (due_ms := next_ms(stored)) is not None:
            partition = stored.rows[0].partition
            await self.turns.wake(stored.mail.destination, partition, due_ms=due_ms)

    def _listed(self, stored: StoredRelay) -> list[_Leading]:
        """The entries of a version in lists."""
        key, partition, found = key_of(stored), stored.rows[0].partition, list[_Leading]()
        if (due_ms := next_ms(stored)) is not None:
            found.append(_Leading(self.next, key, due_ms))
        if claimed := claimed_rows(stored):
            end_ms = min(row.next_attempt_at_ms for row in claimed)
            found.append(_Leading(self.claims, key, end_ms, partition))
        if unreported := [row for row in stored.rows if row.report_id]:
            at_ms = min(row.result.at_ms if row.result else 0 for row in unreported)
            found.append(_Leading(self.reports, key, at_ms, partition))
        if any(row.state != DONE for row in stored.rows):
            numbers = [sum(row.state == state for row in stored.rows) for state in (WAITING, HELD)]
            name = f"{key}/{numbers[0]}/{numbers[1]}"
            found.append(_Leading(self.unfinished, name, stored.mail.queued_at_ms))
        if (settled_ms := settled_at_ms(stored)) is not None:
            queue = self.released_mails if stored.is_released else self.settled_mails
            found.append(_Leading(queue, key, settled_ms))
        return found

    def judge(
        self, counts: Callable[[StoredRelay], bool], key: Callable[[str], str] = str
    ) -> Judge[StoredRelay]:
        """The function that reads the mails of entries, and whether their versions count."""

        async def judged(entry: DueEntry) -> StoredRelay | DueState:
            mail_id, _, destination = key(entry.key).partition("/")
            stored = await self.mails.get(mail_id, destination)
            return verdict(entry, stored, lambda row, _: counts(row))

        return each(judged)


def _unreleased(stored: StoredRelay | None) -> StoredRelay | None:
    return stored and msgspec.structs.replace(stored, is_released=False)


def key_of(stored: StoredRelay) -> str:
    return f"{stored.mail.mail_id}/{stored.mail.destination}"


def next_ms(stored: StoredRelay) -> int | None:
    """When the first row may be claimed; None: none waits for an attempt."""
    times = [
        row.next_attempt_at_ms for row in stored.rows if row.state == WAITING and not row.report_id
    ]
    return min(times, default=None)


def claimed_rows(stored: StoredRelay) -> list[RelayRow]:
    """Rows that a process has claimed and not marked."""
    return [row for row in stored.rows if row.claim and row.marked_at_ms is None]


def settled_at_ms(stored: StoredRelay) -> int | None:
    """When the last row ended; None: a row is open, or its result is not reported."""
    if any(map(is_open, stored.rows)):
        return None
    return max(row.next_attempt_at_ms for row in stored.rows)


def with_rows(stored: StoredRelay, changed: Sequence[RelayRow]) -> StoredRelay:
    """The mail with changed rows in place of those with the same addresses."""
    new = {row.recipient.address: row for row in changed}
    rows = tuple(new.get(row.recipient.address, row) for row in stored.rows)
    return msgspec.structs.replace(stored, rows=rows)


def current_rows(stored: StoredRelay | None, rows: Sequence[RelayRow]) -> list[RelayRow | None]:
    """The rows as they are stored now, in the order of `rows`."""
    known = {row.recipient.address: row for row in stored.rows} if stored else {}
    return [known.get(row.recipient.address) for row in rows]
