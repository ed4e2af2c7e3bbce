"""Quarantine on Cassandra.

A row is made by `IF NOT EXISTS`, so the first row of a mail stays. It is changed by compare-and-set
with its former value, so two operators at once act one after the other. Ids are listed by the day
of the mail id, newest first. Rows of the list are never deleted: the row of the mail decides
whether the mail is shown.
"""

import asyncio
import builtins
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from zlib import crc32

import msgspec

from mail import quarantine_rules as rules
from mail.ids import time_ms
from mail.pagination import check_limit
from mail.ports import Quarantine
from schemas.cql.small_stores import (
    DAY_BUCKETS,
    QUARANTINE,
    QUARANTINE_DAY,
    QUARANTINE_DAYS,
    QUARANTINED,
    RELEASED,
)
from schemas.ids import MailId
from schemas.quarantine import Quarantined
from stores.cassandra.base import CassandraStore
from stores.cassandra.clock import now_us
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.session import CassandraSession

WINDOW = 500  # ids of a bucket in one query
UNDATED = ""  # the day of an id that has no time
_NAME = "days"
_DAYS = QUARANTINE_DAYS.select("day", "AND day <= ?")
_IDS = QUARANTINE_DAY.select("mail_id, reason", "AND mail_id < ? LIMIT ?")
_RELEASED = RELEASED.select("mail_id", "AND mail_id > ? LIMIT ?")
_LAST = "\U0010ffff"  # above every id and every day


class CassandraQuarantine(CassandraStore, Quarantine):
    """Quarantine over a session."""

    schemas = {"quarantine": QUARANTINE}  # noqa: RUF012

    def __init__(self, session: CassandraSession) -> None:
        super().__init__(session)
        self._rows: GuardedRows[Quarantined] = GuardedRows(session, QUARANTINED, Quarantined)

    async def put(self, row: Quarantined) -> None:
        day, at_us = _day(row.mail_id), now_us()
        key = (day, crc32(row.mail_id.encode()) % DAY_BUCKETS, row.mail_id)
        if await self.get(row.mail_id) is None:
            await self._session.write(
                [
                    (QUARANTINE_DAYS.put, (_NAME, day, at_us)),
                    (QUARANTINE_DAY.put, (*key, row.reason, at_us)),
                ]
            )
            await self._rows.add(row.mail_id, row=row)

    async def get(self, mail_id: MailId) -> Quarantined | None:
        return await self._rows.get_joined(mail_id)

    async def get_many(self, mail_ids: Iterable[MailId]) -> list[Quarantined]:
        rows = await self._rows.get_many(list(mail_ids))
        return [row for row in rows if row is not None]

    async def release(self, mail_id: MailId, *, by: str, at_ms: int) -> None:
        """The mail is listed before its row is changed, so that no released mail is forgotten."""
        rules.released(await self.get(mail_id), mail_id, by=by, at_ms=at_ms)
        await self._session.write([(RELEASED.put, (_NAME, mail_id, now_us()))])
        await self._rows.change(
            mail_id, to=lambda row: rules.released(row, mail_id, by=by, at_ms=at_ms)
        )

    async def mark_published(self, mail_id: MailId) -> None:
        def published(row: Quarantined | None) -> Quarantined | None:
            return row and msgspec.structs.replace(row, unpublished=False)

        await self._rows.change(mail_id, to=published)

    async def list_unpublished(self, *, limit: int) -> builtins.list[Quarantined]:
        found: list[Quarantined] = []
        after = ""
        while len(found) < limit:
            ids = await self._session.read(_RELEASED, _NAME, after, WINDOW)
            found += [row for row in await self.get_many(id_ for (id_,) in ids) if row.unpublished]
            if len(ids) < WINDOW:
                break
            after = ids[-1][0]
        return found[:limit]

    async def delete(self, mail_id: MailId, *, by: str, at_ms: int) -> None:
        await self._rows.change(
            mail_id, to=lambda row: rules.deleted(row, mail_id, by=by, at_ms=at_ms)
        )

    async def list(  # last, because it hides the builtin
        self, *, limit: int, before: str | None = None, reason: str | None = None
    ) -> builtins.list[Quarantined]:
        check_limit(limit)
        found: list[Quarantined] = []
        async for mail_id, of in self._ids(before or _LAST):
            if reason in (None, of):
                row = await self.get(mail_id)
                if row is not None and rules.is_listed(row, reason):
                    found.append(row)
            if len(found) == limit:
                break
        return found

    async def _ids(self, before: str) -> AsyncIterator[tuple[MailId, str]]:
        """Ids below `before` with their reasons, newest first."""
        last_day = _LAST if before == _LAST else _day(before)
        for (day,) in await self._session.read(_DAYS, _NAME, last_day):
            async for row in self._of_day(day, before):
                yield row

    async def _of_day(self, day: str, before: str) -> AsyncIterator[tuple[MailId, str]]:
        end = before
        while end:
            parts = await asyncio.gather(
                *(self._session.read(_IDS, day, n, end, WINDOW) for n in range(DAY_BUCKETS))
            )
            end = max((rows[-1][0] for rows in parts if len(rows) == WINDOW), default="")
            every = (row for rows in parts for row in rows if row[0] >= end)
            for mail_id, reason in sorted(every, reverse=True):
                yield mail_id, reason


def _day(mail_id: str) -> str:
    """The day of a UUIDv7, as 2026-01-31."""
    try:
        return datetime.fromtimestamp(time_ms(mail_id) / 1000, UTC).date().isoformat()
    except ValueError:
        return UNDATED
