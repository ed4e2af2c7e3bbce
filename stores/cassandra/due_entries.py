"""Entries that become due at a time: the queues and the lists by time of the distributed profile.

An entry is no work by itself. It names a row and the version of the row that is due, and the row
decides. An entry is written before its row. Then there are three cases:
- the row has that version: the entry counts;
- the row has a later version, or another time: the entry is stale for good, and a reader deletes
  it;
- the row has an earlier version: its writer is at work or was killed. The entry stays, unread, and
  becomes stale with the next version.
Versions only grow and an entry is written once, so no deletion can hide a later entry, also with
wrong clocks.

Partitions are bounded by slots of ten minutes, in which entries are ordered by time. In a queue, an
entry whose time has passed is put into the present slot: so a slot that is over stays drained, and
its tombstones are in a partition that is not read again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import Enum
from typing import NamedTuple, Protocol, TypeVar
from zlib import crc32

from schemas.cql.due import DUE, DUE_SLOT, SHARDS, SLOT_MS
from stores.cassandra.clock import now_us
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.session import CassandraSession, Row, Statement

T = TypeVar("T")
V = TypeVar("V", bound="Versioned")
Place = tuple[int, str]  # time and key of an entry
BEGIN: Place = (-(2**62), "")
LAST_KEY = "\U0010ffff"  # above every key
FOREVER_MS = 2**62
SLOTS_AT_ONCE = 16
DRAINED_AFTER_MS = 3_600_000  # no clock of a host may be wrong by more
_SLOTS = (
    "SELECT shard, slot, WRITETIME(mark) FROM due_slot"
    " WHERE queue = ? AND shard IN ? AND slot >= ? AND slot <= ?"
)
_LAST_SLOTS = (
    "SELECT slot FROM due_slot WHERE queue = ? AND shard IN ? AND slot < ?"
    " ORDER BY slot DESC PER PARTITION LIMIT 1"
)
# Of one partition for each shard and each slot.
_ENTRIES = (
    "SELECT due_at_ms, key, version, shard, slot, WRITETIME(mark) FROM due"
    " WHERE queue = ? AND shard IN ? AND slot IN ?"
    " AND (due_at_ms, key) > (?, ?) AND (due_at_ms) <= (?) PER PARTITION LIMIT ?"
)
_COUNTS = (
    "SELECT shard, slot, count(*) FROM due WHERE queue = ? AND shard IN ? AND slot IN ?"
    " GROUP BY queue, shard, slot"
)
_NEWEST = (
    "SELECT due_at_ms FROM due WHERE queue = ? AND shard IN ? AND slot = ?"
    " ORDER BY due_at_ms DESC, key DESC, version DESC PER PARTITION LIMIT 1"
)


class DueEntry(NamedTuple):
    """A row that is due, in the order of entries."""

    due_at_ms: int
    key: str
    version: int
    shard: int
    slot: int
    written_us: int  # by the clock of its writer


class DueState(Enum):
    """What the row of an entry says."""

    STALE = "stale"  # the row has a later version, or is gone
    EARLY = "early"  # the row has an earlier version


Judge = Callable[[Sequence[DueEntry]], Awaitable[Sequence[T | DueState]]]


def each(judge: Callable[[DueEntry], Awaitable[T | DueState]]) -> Judge[T]:
    """The judge of many entries that asks `judge` for each, all at the same time."""

    async def of_all(entries: Sequence[DueEntry]) -> Sequence[T | DueState]:
        return await asyncio.gather(*map(judge, entries))

    return of_all


class Versioned(Protocol):
    """A row whose version grows with each change."""

    @property
    def version(self) -> int: ...


def verdict(entry: DueEntry, row: V | None, counts: Callable[[V, DueEntry], bool]) -> V | DueState:
    """The row if it has the version of the entry, and `counts` says so.

    No row: it was deleted, or is being written. Only the first version of a row is written where
    there is none.
    """
    if row is None:
        is_old = entry.written_us < now_us() - DRAINED_AFTER_MS * 1000
        return DueState.STALE if is_old or entry.version > 1 else DueState.EARLY
    if row.version < entry.version:
        return DueState.EARLY
    return row if row.version == entry.version and counts(row, entry) else DueState.STALE


def by_key(rows: GuardedRows[V], counts: Callable[[V, DueEntry], bool]) -> Judge[V]:
    """The judge of entries whose key is that of one of `rows`."""

    async def judge(entries: Sequence[DueEntry]) -> Sequence[V | DueState]:
        found = await rows.get_many([entry.key for entry in entries])
        return [verdict(entry, row, counts) for entry, row in zip(entries, found, strict=True)]

    return judge


def any_of(rows: GuardedRows[V]) -> Judge[V]:
    """The judge of entries that count as long as the row with their key exists."""

    async def judge(entries: Sequence[DueEntry]) -> Sequence[V | DueState]:
        found = await rows.get_many([entry.key for entry in entries])
        return [row or DueState.EARLY for row in found]

    return judge


def shard_of(key: str) -> int:
    """The shard of a queue without Kafka partitions."""
    return crc32(key.encode()) % SHARDS


class DueEntries:
    """The entries of one queue; or with `is_list` of a list by time, which is read again."""

    def __init__(self, session: CassandraSession, queue: str, *, is_list: bool = False) -> None:
        self._session = session
        self._queue = queue
        self._is_list = is_list

    def put(
        self,
        key: str,
        *,
        due_at_ms: int,
        version: int = 1,
        shard: int | None = None,
        at_us: int | None = None,
    ) -> list[Statement]:
        """The statements that write an entry at `at_us`, None: now; `shard` None: by a hash."""
        shard = shard_of(key) if shard is None else shard
        slot = (due_at_ms if self._is_list else max(due_at_ms, _now_ms())) // SLOT_MS
        at_us = now_us() if at_us is None else at_us
        return [
            (DUE.put, (self._queue, shard, slot, due_at_ms, key, version, True, at_us)),
            (DUE_SLOT.put, (self._queue, shard, slot, True, at_us)),
        ]

    def removal(
        self, key: str, *, due_at_ms: int, version: int = 1, shard: int | None = None
    ) -> Statement:
        """The statement that deletes an entry of a list.

        Of a queue, it deletes an entry that was put before its time; others wait for a reader.
        """
        shard = shard_of(key) if shard is None else shard
        place = (shard, due_at_ms // SLOT_MS, due_at_ms, key, version)
        return DUE.delete(), (now_us(), self._queue, *place)

    async def due(
        self,
        *,
        until_ms: int,
        limit: int,
        shards: Iterable[int] = range(SHARDS),
        after: Place = BEGIN,
    ) -> list[DueEntry]:
        """Return at most `limit` entries that are due then, the earliest first.

        `after`: time and key of the last entry of the page before. Raises StoreUnavailable.
        """
        shards, found = list(shards), list[DueEntry]()
        slots = await self._slots(shards, after, until_ms)
        numbers = sorted({slot for _, slot, _ in slots})
        for first in range(0, len(numbers), SLOTS_AT_ONCE):
            part = numbers[first : first + SLOTS_AT_ONCE]
            values = (self._queue, shards, part, *after, until_ms, limit)
            rows = [DueEntry(*row) for row in await self._session.read_at_once(_ENTRIES, *values)]
            found += rows
            if after == BEGIN:
                used = {(row.shard, row.slot) for row in rows}
                empty = [row for row in slots if row[1] in part and row[:2] not in used]
                await self._forget(empty, until_ms)
            if len(found) >= limit:
                break
        return sorted(found)[:limit]

    async def rows(
        self,
        judge: Judge[T],
        *,
        until_ms: int,
        limit: int,
        shards: Iterable[int] = range(SHARDS),
        after: Place = BEGIN,
    ) -> list[T]:
        """Return at most `limit` rows of entries that count, the earliest first.

        `judge` reads the rows of entries. Stale entries are deleted.
        """
        shards, passed = tuple(shards), 0
        while True:
            asked = limit + passed
            entries = await self.due(until_ms=until_ms, limit=asked, shards=shards, after=after)
            once = list({entry[:3]: entry for entry in entries}.values())
            verdicts = await judge(once)
            found = [each for each in verdicts if not isinstance(each, DueState)]
            pairs = zip(once, verdicts, strict=True)
            stale = [entry for entry, each in pairs if each is DueState.STALE]
            await self.remove(stale)
            if len(found) >= limit or len(entries) < asked:
                return found[:limit]
            passed = len(entries) - len(stale)

    async def remove(self, entries: Sequence[DueEntry]) -> None:
        """Delete entries that are stale, or whose row is gone."""
        at_us = now_us()
        await self._session.write(
            [(DUE.delete(), (at_us, self._queue, one.shard, one.slot, *one[:3])) for one in entries]
        )

    async def newest_ms(self) -> int | None:
        """Return the time of the newest entry of a list."""
        slot, shards = FOREVER_MS, list(range(SHARDS))
        while slots := await self._session.read_at_once(_LAST_SLOTS, self._queue, shards, slot):
            (slot,) = max(slots)
            times = await self._session.read_at_once(_NEWEST, self._queue, shards, slot)
            if times:
                newest: int = max(times)[0]
                return newest
        return None

    async def count(self) -> int:
        """Return the number of entries."""
        shards = list(range(SHARDS))
        slots = await self._slots(shards, BEGIN, FOREVER_MS)
        numbers = list({slot for _, slot, _ in slots})
        rows = await self._session.read_by_keys(_COUNTS, self._queue, shards, keys=numbers)
        counts = {(shard, slot): number for shard, slot, number in rows if number}
        await self._forget([row for row in slots if row[:2] not in counts], FOREVER_MS)
        return sum(counts.values())

    async def _slots(self, shards: Sequence[int], after: Place, until_ms: int) -> list[Row]:
        """Shard, number and last write time of each slot that may have such entries."""
        first, last = after[0] // SLOT_MS, max(until_ms, _now_ms()) // SLOT_MS
        return await self._session.read_at_once(_SLOTS, self._queue, shards, first, last)

    async def _forget(self, empty: Sequence[Row], until_ms: int) -> None:
        """Forget slots without entries that were over long ago, unless an entry was put since."""
        over = (min(until_ms, _now_ms()) - DRAINED_AFTER_MS) // SLOT_MS
        await self._session.write(
            [
                (DUE_SLOT.delete(), (written_us, self._queue, shard, slot))
                for shard, slot, written_us in empty
                if slot < over
            ]
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
