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
from heapq import merge
from typing import NamedTuple, TypeVar
from zlib import crc32

from schemas.cql.due import DUE, DUE_SLOT, SHARDS, SLOT_MS
from stores.cassandra.clock import now_us
from stores.cassandra.session import CassandraSession, Row, Statement

T = TypeVar("T")
Place = tuple[int, str]  # time and key of an entry
BEGIN: Place = (-(2**62), "")
LAST_KEY = "\U0010ffff"  # above every key
FOREVER_MS = 2**62
SLOTS_AT_ONCE = 16
DRAINED_AFTER_MS = 3_600_000  # no clock of a host may be wrong by more
_SLOTS = DUE_SLOT.select("slot, WRITETIME(mark)", "AND slot >= ? AND slot <= ?")
_LAST_SLOTS = DUE_SLOT.select("slot", "AND slot < ? ORDER BY slot DESC LIMIT 10")
_ENTRIES = DUE.select(
    "due_at_ms, key, version, WRITETIME(mark)",
    "AND (due_at_ms, key) > (?, ?) AND (due_at_ms) <= (?) LIMIT ?",
)

_COUNT = DUE.select("count(*)")
_NEWEST = DUE.select(
    "due_at_ms, key, version", "ORDER BY due_at_ms DESC, key DESC, version DESC LIMIT 1"
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


def without_row(entry: DueEntry) -> DueState:
    """What an entry is whose row is not there: the row was deleted, or is being written.

    Only the first version of a row is written where there is none.
    """
    is_old = entry.written_us < now_us() - DRAINED_AFTER_MS * 1000
    return DueState.STALE if is_old or entry.version > 1 else DueState.EARLY


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
        self, key: str, *, due_at_ms: int, version: int = 1, shard: int | None = None
    ) -> list[Statement]:
        """The statements that write an entry; `shard` None: by a hash of the key."""
        shard = shard_of(key) if shard is None else shard
        slot = (due_at_ms if self._is_list else max(due_at_ms, _now_ms())) // SLOT_MS
        at_us = now_us()
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
        found = await asyncio.gather(
            *(self._of_shard(one, after, until_ms, limit) for one in shards)
        )
        return list(merge(*found))[:limit]

    async def rows(
        self,
        judge: Callable[[DueEntry], Awaitable[T | DueState]],
        *,
        until_ms: int,
        limit: int,
        shards: Iterable[int] = range(SHARDS),
        after: Place = BEGIN,
    ) -> list[T]:
        """Return at most `limit` rows of entries that count, the earliest first.

        `judge` reads the row of an entry. Stale entries are deleted.
        """
        shards, passed = tuple(shards), 0
        while True:
            asked = limit + passed
            entries = await self.due(until_ms=until_ms, limit=asked, shards=shards, after=after)
            once = list({entry[:3]: entry for entry in entries}.values())
            verdicts = await asyncio.gather(*map(judge, once))
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
        """Return the time of the newest entry."""
        found = await asyncio.gather(*map(self._newest_ms, range(SHARDS)))
        return max((at_ms for at_ms in found if at_ms is not None), default=None)

    async def _newest_ms(self, shard: int) -> int | None:
        last = FOREVER_MS
        while slots := await self._session.read(_LAST_SLOTS, self._queue, shard, last):
            for (slot,) in slots:
                rows = await self._session.read(_NEWEST, self._queue, shard, slot)
                if rows:
                    at_ms: int = rows[0][0]
                    return at_ms
            last = slots[-1][0]
        return None

    async def count(self) -> int:
        """Return the number of entries."""
        return sum(await asyncio.gather(*map(self._count, range(SHARDS))))

    async def _count(self, shard: int) -> int:
        slots = await self._slots(shard, BEGIN, FOREVER_MS)
        counts = [await self._session.read(_COUNT, self._queue, shard, slot) for slot, _ in slots]
        pairs = zip(slots, counts, strict=True)
        await self._forget(shard, [slot for slot, rows in pairs if not rows[0][0]], FOREVER_MS)
        return sum(rows[0][0] for rows in counts)

    async def _slots(self, shard: int, after: Place, until_ms: int) -> list[Row]:
        first, last = after[0] // SLOT_MS, max(until_ms, _now_ms()) // SLOT_MS
        return await self._session.read(_SLOTS, self._queue, shard, first, last)

    async def _of_shard(
        self, shard: int, after: Place, until_ms: int, limit: int
    ) -> list[DueEntry]:
        slots = await self._slots(shard, after, until_ms)
        found: list[DueEntry] = []
        for start in range(0, len(slots), SLOTS_AT_ONCE):
            part = slots[start : start + SLOTS_AT_ONCE]
            values = (*after, until_ms, limit)
            rows = await asyncio.gather(
                *(
                    self._session.read(_ENTRIES, self._queue, shard, slot, *values)
                    for slot, _ in part
                )
            )
            pairs = list(zip(part, rows, strict=True))
            found += [self._entry(row, shard, slot[0]) for slot, each in pairs for row in each]
            if after == BEGIN:
                await self._forget(shard, [slot for slot, each in pairs if not each], until_ms)
            if len(found) >= limit:
                break
        return sorted(found)[:limit]

    async def _forget(self, shard: int, empty: Sequence[Row], until_ms: int) -> None:
        """Forget slots without entries that were over long ago, unless an entry was put since."""
        over = (min(until_ms, _now_ms()) - DRAINED_AFTER_MS) // SLOT_MS
        await self._session.write(
            [
                (DUE_SLOT.delete(), (written_us, self._queue, shard, slot))
                for slot, written_us in empty
                if slot < over
            ]
        )

    @staticmethod
    def _entry(row: Row, shard: int, slot: int) -> DueEntry:
        due_at_ms, key, version, written_us = row
        return DueEntry(due_at_ms, key, version, shard, slot, written_us)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
