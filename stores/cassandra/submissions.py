"""Submissions on Cassandra.

A row is changed by a lightweight transaction that names the row before it, and after everything
that leads to it: its lists, its key, its entries by time. What leads to a row that is not there, or
has another version, is ignored.
"""

import asyncio
import builtins
from collections.abc import Collection, Sequence
from itertools import islice

from mail.pagination import check_limit
from mail.ports.submissions import (
    FIRST,
    SendingVolume,
    SettledPlace,
    SubmissionChanged,
    Submissions,
)
from mail.sending.submission_rows import settled_at_ms
from schemas.cql.submissions import (
    HOUR_MS,
    IDEMPOTENCY_KEY,
    PERIOD_MS,
    SENT_HOUR,
    SENT_VOLUME,
    SUBMISSION,
    SUBMISSION_OF_USER,
    SUBMISSION_PERIOD,
    SUBMISSIONS,
    StoredSubmission,
)
from schemas.ids import SubmissionId, UserId
from schemas.submissions import HELD, Submission
from stores.cassandra.base import CassandraStore
from stores.cassandra.clock import id_time_ms, now_us
from stores.cassandra.due_entries import (
    BEGIN,
    FOREVER_MS,
    LAST_KEY,
    DueEntries,
    DueEntry,
    any_of,
    by_key,
)
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.session import CassandraSession, Statement

_BY_KEY = IDEMPOTENCY_KEY.select("submission_id, WRITETIME(submission_id)")
_PERIODS = SUBMISSION_PERIOD.select("period", "AND period <= ?")
_OF_USER = SUBMISSION_OF_USER.select("submission_id", "AND submission_id < ? LIMIT ?")
_HOURS = SENT_HOUR.select("hour", "AND hour >= ?")
_VOLUME = SENT_VOLUME.select("count(*), sum(recipients)", "AND created_at_ms >= ?")
Rows = builtins.list[Submission]


class CassandraSubmissions(CassandraStore, Submissions):
    """Submissions over a session."""

    schemas = {"submissions": SUBMISSIONS}  # noqa: RUF012

    def __init__(self, session: CassandraSession) -> None:
        super().__init__(session)
        self._rows: GuardedRows[StoredSubmission] = GuardedRows(
            session, SUBMISSION, StoredSubmission
        )
        self._held = DueEntries(session, "held")
        self._settled = DueEntries(session, "settled")
        self._released = DueEntries(session, "released")
        self._every = DueEntries(session, "submission", is_list=True)

    async def put(self, row: Submission) -> None:
        def changed(stored: StoredSubmission | None) -> StoredSubmission:
            if stored is not None and stored.submission == row:
                return stored
            if (stored.submission.version if stored else 0) != row.version - 1:
                raise SubmissionChanged(row.submission_id)
            return StoredSubmission(submission=row, is_released=bool(stored and stored.is_released))

        await self._rows.change(row.submission_id, to=changed, first=self._leading)

    def _leading(self, stored: StoredSubmission) -> builtins.list[Statement]:
        """The statements that lead to a row."""
        row, settled_ms = stored.submission, settled_at_ms(stored.submission)
        id_, version = row.submission_id, row.version
        found = self._listed(row) if version == 1 else []
        if row.status == HELD:
            due_ms, shard = row.fire_at_ms, row.partition
            found += self._held.put(id_, due_at_ms=due_ms, version=version, shard=shard)
        if settled_ms is not None:
            queue = self._released if stored.is_released else self._settled
            found += queue.put(id_, due_at_ms=settled_ms, version=version)
        return found

    def _listed(self, row: Submission) -> builtins.list[Statement]:
        """The statements that lead to a new row for as long as it exists."""
        id_, user_id, at_us = row.submission_id, row.user_id, now_us()
        period, hour = id_time_ms(id_) // PERIOD_MS, row.created_at_ms // HOUR_MS
        volume = (user_id, hour, row.created_at_ms, id_, len(row.recipients), at_us)
        found: builtins.list[Statement] = [
            *self._every.put(id_, due_at_ms=id_time_ms(id_)),
            (SUBMISSION_OF_USER.put, (user_id, period, id_, at_us)),
            (SUBMISSION_PERIOD.put, (user_id, period, at_us)),
            (SENT_VOLUME.put, volume),
            (SENT_HOUR.put, (user_id, hour, at_us)),
        ]
        if row.idempotency_key:
            found.append((IDEMPOTENCY_KEY.put, (user_id, row.idempotency_key, id_, at_us)))
        return found

    async def relist(self) -> None:
        """Write again what leads to the rows, after a restore. Raises StoreUnavailable.

        Contents of settled rows are released once more: a holder may be older than its row.
        """
        async for stored in self._rows.every():
            held = _unreleased(stored) or stored
            await self._session.write([*self._listed(held.submission), *self._leading(held)])
            await self._rows.change(held.submission.submission_id, to=_unreleased)

    async def get(self, submission_id: SubmissionId) -> Submission | None:
        stored = await self._rows.get(submission_id)
        return stored.submission if stored else None

    async def by_key(self, user_id: UserId, idempotency_key: str) -> Submission | None:
        rows = await self._session.read(_BY_KEY, user_id, idempotency_key)
        return await self.get(rows[0][0]) if rows else None

    async def held(
        self, partitions: Collection[int], *, until_ms: int, limit: int
    ) -> builtins.list[Submission]:
        check_limit(limit)

        def is_held(stored: StoredSubmission, entry: DueEntry) -> bool:
            row = stored.submission
            return row.status == HELD and row.fire_at_ms == entry.due_at_ms

        judge = by_key(self._rows, is_held)
        found = await self._held.rows(judge, until_ms=until_ms, limit=limit, shards=partitions)
        return [row.submission for row in found]

    async def volume(self, user_id: UserId, *, since_ms: int) -> SendingVolume:
        hours = await self._session.read(_HOURS, user_id, since_ms // HOUR_MS)
        sums = await asyncio.gather(
            *(self._session.read(_VOLUME, user_id, hour, since_ms) for (hour,) in hours)
        )
        return SendingVolume(
            mails=sum(rows[0][0] for rows in sums),
            recipients=sum(rows[0][1] or 0 for rows in sums),
        )

    async def walk(self, *, after: SubmissionId, limit: int) -> builtins.list[Submission]:
        check_limit(limit)
        found = await self._every.rows(
            any_of(self._rows),
            until_ms=FOREVER_MS,
            limit=limit,
            after=(id_time_ms(after), after) if after else BEGIN,
        )
        return [row.submission for row in found]

    async def settled(
        self, *, after: SettledPlace = FIRST, before_ms: int, limit: int
    ) -> builtins.list[Submission]:
        check_limit(limit)

        def is_settled(stored: StoredSubmission, entry: DueEntry) -> bool:
            is_due = settled_at_ms(stored.submission) == entry.due_at_ms
            return is_due and not stored.is_released

        place = BEGIN if after == FIRST else after
        judge = by_key(self._rows, is_settled)
        found = await self._settled.rows(judge, until_ms=before_ms - 1, limit=limit, after=place)
        return [row.submission for row in found]

    async def set_released(self, submission_ids: Sequence[SubmissionId]) -> None:
        def released(stored: StoredSubmission | None) -> StoredSubmission | None:
            if stored is None or settled_at_ms(stored.submission) is None:
                return stored
            return StoredSubmission(submission=stored.submission, is_released=True)

        await asyncio.gather(
            *(self._rows.change(id_, to=released, first=self._leading) for id_ in submission_ids)
        )

    async def delete_released(self, *, before_ms: int, limit: int) -> int:
        check_limit(limit)
        judge = by_key(self._rows, lambda stored, _: stored.is_released)
        rows = await self._released.rows(judge, until_ms=before_ms - 1, limit=limit)
        await asyncio.gather(*(self._delete(row.submission) for row in rows))
        return len(rows)

    async def _delete(self, row: Submission) -> None:
        """What leads to the row is deleted before it; its last entry is stale then."""
        id_, at_us = row.submission_id, now_us()
        key = (row.user_id, row.idempotency_key)
        found = await self._session.read(_BY_KEY, *key) if row.idempotency_key else []
        place = (row.user_id, id_time_ms(id_) // PERIOD_MS, id_)
        await self._session.write(
            [
                *((IDEMPOTENCY_KEY.delete(), (us, *key)) for led, us in found if led == id_),
                (SUBMISSION_OF_USER.delete(), (at_us, *place)),
                self._every.removal(id_, due_at_ms=id_time_ms(id_)),
            ]
        )
        await self._rows.change(id_, to=lambda _: None)

    async def list(  # last, because it hides the builtin
        self, user_id: UserId, *, before: SubmissionId | None = None, limit: int
    ) -> builtins.list[Submission]:
        check_limit(limit)
        newest = FOREVER_MS if before is None else id_time_ms(before) // PERIOD_MS
        found: Rows = []
        end = before or LAST_KEY
        for (period,) in await self._session.read(_PERIODS, user_id, newest):
            ids = [""] * limit
            while len(ids) == limit and len(found) < limit:
                ids = [
                    row[0]
                    for row in await self._session.read(_OF_USER, user_id, period, end, limit)
                ]
                rows = await self._rows.get_many(ids)
                found += [row.submission for row in rows if row is not None]
                end = ids[-1] if ids else end
            if len(found) >= limit:
                break
        return [*islice(found, limit)]


def _unreleased(stored: StoredSubmission | None) -> StoredSubmission | None:
    return stored and StoredSubmission(submission=stored.submission)
