"""Holders on Cassandra.

A holder is held if it has a `ref` and no `released`. A hold writes the first cell and a release the
second, and no write undoes another, so the result depends neither on the order of writes nor on
clocks. Only the content sweep deletes a row, with the time of the row's newest cell: a hold that is
written later holds again.
"""

import asyncio
import builtins
from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import islice
from typing import Any
from zlib import crc32

from mail.ports import Holders
from schemas.cql.small_stores import HOLDER, HOLDER_OF_KIND, HOLDERS, KIND_BUCKETS
from schemas.holders import (
    DEAD_LETTERS_HOLDER,
    DEPOSIT_HOLDER,
    QUARANTINE_HOLDER,
    Holder,
    kind_of_holder,
)
from schemas.ids import MailId
from stores.cassandra.base import CassandraStore
from stores.cassandra.clock import now_us
from stores.cassandra.joined_reads import JoinedReads
from stores.cassandra.session import CassandraSession, Row, Statement

LISTED = frozenset((QUARANTINE_HOLDER, DEAD_LETTERS_HOLDER, DEPOSIT_HOLDER))
WINDOW = 500  # rows of a bucket in one query
_Key = tuple[str, str]  # mail id, holder
_COLUMNS = "holder, ref, released, WRITETIME(ref), WRITETIME(released)"
_OF_KIND = HOLDER_OF_KIND.select(
    "mail_id, holder, ref, released", "AND (mail_id, holder) > (?, ?) LIMIT ?"
)
_EVERY = "SELECT mail_id, holder, ref, released FROM holder"
_RELEASE = "UPDATE holder USING TIMESTAMP ? SET released = true WHERE mail_id = ? AND holder = ?"
_RELEASE_OF_KIND = (
    "UPDATE holder_of_kind USING TIMESTAMP ? SET released = true"
    " WHERE kind = ? AND bucket = ? AND mail_id = ? AND holder = ?"
)


class CassandraHolders(CassandraStore, Holders):
    """Holders over a session."""

    schemas = {"holders": HOLDERS}  # noqa: RUF012

    def __init__(self, session: CassandraSession) -> None:
        super().__init__(session)
        self._of = JoinedReads(session, HOLDER, _COLUMNS)

    async def hold(self, holders: Iterable[Holder]) -> None:
        rows = list({(row.mail_id, row.holder): row for row in reversed(list(holders))}.values())
        known = await self._rows({row.mail_id for row in rows})
        at_us = now_us()
        await self._session.write(
            [
                statement
                for row in rows
                if known.get((row.mail_id, row.holder), (None,))[0] is None
                for statement in _hold(row, at_us)
            ]
        )

    async def any_held(self, mail_ids: Sequence[MailId]) -> set[str]:
        rows = await self._rows(set(mail_ids))
        return {mail_id for (mail_id, _), row in rows.items() if _is_held(row)}

    async def held_by(
        self, kind: str, *, after: tuple[str, str] = ("", ""), limit: int
    ) -> builtins.list[Holder]:
        """Reads the whole table for a kind that is not in LISTED."""
        if kind not in LISTED:
            return await self._scanned(kind, after, limit)
        buckets = await asyncio.gather(
            *(self._of_kind(kind, bucket, after, limit) for bucket in range(KIND_BUCKETS))
        )
        return list(islice(merge(*buckets, key=_key), limit))

    async def release(self, mail_id: MailId, holder: str) -> None:
        await self.release_all([(mail_id, holder)])

    async def release_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        at_us = now_us()
        await self._session.write([one for pair in pairs for one in _release(pair, at_us)])

    async def forget_released(self, mail_ids: Sequence[str]) -> None:
        rows = await self._rows(set(mail_ids))
        await self._session.write(
            [one for key, row in rows.items() if row[1] for one in _forget(key, row)]
        )

    async def _rows(self, mail_ids: Iterable[str]) -> dict[_Key, Row]:
        """Every row of the mails: ref, released, and the times of both cells."""
        ids = list(mail_ids)
        found = await asyncio.gather(*(self._of.rows(mail_id) for mail_id in ids))
        return {
            (mail_id, row[0]): row[1:]
            for mail_id, rows in zip(ids, found, strict=True)
            for row in rows
        }

    async def _of_kind(
        self, kind: str, bucket: int, after: _Key, limit: int
    ) -> builtins.list[Holder]:
        found: list[Holder] = []
        while len(found) < limit:
            rows = await self._session.read(_OF_KIND, kind, bucket, *after, WINDOW)
            found += [_holder(*row[:3]) for row in rows if _is_held(row[2:])]
            if len(rows) < WINDOW:
                break
            after = rows[-1][:2]
        return found[:limit]

    async def _scanned(self, kind: str, after: _Key, limit: int) -> builtins.list[Holder]:
        every = [
            _holder(*row[:3])
            for row in await self._session.read(_EVERY)
            if _is_held(row[2:]) and kind_of_holder(row[1]) == kind and row[:2] > after
        ]
        return sorted(every, key=_key)[:limit]

    async def list(self, mail_id: MailId) -> builtins.list[Holder]:  # last: it hides the builtin
        rows = await self._rows([mail_id])
        return [_holder(mail_id, key[1], row[0]) for key, row in rows.items() if _is_held(row)]


def _hold(row: Holder, at_us: int) -> Iterable[Statement]:
    yield HOLDER.put, (row.mail_id, row.holder, row.ref, at_us)
    if (kind := kind_of_holder(row.holder)) in LISTED:
        key = (kind, _bucket(row.mail_id), row.mail_id, row.holder)
        yield HOLDER_OF_KIND.put, (*key, row.ref, at_us)


def _release(key: _Key, at_us: int) -> Iterable[Statement]:
    yield _RELEASE, (at_us, *key)
    if (kind := kind_of_holder(key[1])) in LISTED:
        yield _RELEASE_OF_KIND, (at_us, kind, _bucket(key[0]), *key)


def _forget(key: _Key, row: Row) -> Iterable[Statement]:
    at_us = max(time_us for time_us in row[2:] if time_us is not None)
    yield HOLDER.delete(), (at_us, *key)
    if (kind := kind_of_holder(key[1])) in LISTED:
        yield HOLDER_OF_KIND.delete(), (at_us, kind, _bucket(key[0]), *key)


def _is_held(row: Sequence[Any]) -> bool:
    """Whether a row, which begins with `ref` and `released`, is held."""
    return row[0] is not None and not row[1]


def _holder(mail_id: MailId, holder: str, ref: str) -> Holder:
    return Holder(mail_id=mail_id, holder=holder, ref=ref)


def _key(row: Holder) -> _Key:
    return row.mail_id, row.holder


def _bucket(mail_id: str) -> int:
    return crc32(mail_id.encode()) % KIND_BUCKETS
