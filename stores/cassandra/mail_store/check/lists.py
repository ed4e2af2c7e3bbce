"""Compare the stored list rows of a mailbox, and the heads of lists, with the expected rows.

The expected rows come in the order of their keys. The stored rows are read in the same order,
partition by partition, in parts. A stored row that no message has is found in the partitions that
heads name, and in those where rows are expected.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

import msgspec

from schemas.consistency import LISTS, THREADS, ViewDifference
from schemas.cql.mail_store import CONVERSATION, LIST_HEAD, LIST_ROW, UID
from schemas.cql.tables import Table
from schemas.ids import UserId
from stores.cassandra.mail_store.check.findings import CheckFindings, LaterSteps
from stores.cassandra.mail_store.list_scan import LISTS_MAX
from stores.cassandra.mail_store.lists import CONVERSATIONS, ListHead, encode, table_of
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.stamps import RowWrite, delete, put
from stores.cassandra.mail_store.threads import decode_in_list
from stores.cassandra.session import Row

PART = 500  # expected rows in memory, and stored rows of one query
FIRST = 20  # rows of each list, where LISTS_MAX lists are read at once
Position = tuple[Any, ...]
ExpectedKey = tuple[str, int, Position]  # list, bucket, position: ListKey in an order
Expected = tuple[ExpectedKey, tuple[Any, ...]]  # with its values
_MESSAGE_OF = {LIST_ROW.name: 1, UID.name: 1, CONVERSATION.name: 2}  # column: message or thread id


def _next_rows(table: Table) -> str:
    """The query for the rows of a partition behind a position."""
    key = ", ".join(table.clustering)
    marks = ", ".join("?" * len(table.clustering))
    return table.select(_columns(table), f"AND ({key}) > ({marks}) {_order(table)} LIMIT ?")


def _first_rows(table: Table) -> str:
    """The query for the first rows of several lists."""
    return (
        f"SELECT list, {_columns(table)} FROM {table.name} WHERE user_id = ? AND list IN ?"  # noqa: S608
        f" AND era = ? AND bucket = ? {_order(table)} PER PARTITION LIMIT ?"
    )


def _columns(table: Table) -> str:
    return ", ".join(table.clustering + table.values)


def _order(table: Table) -> str:
    return "ORDER BY " + ", ".join(f"{column} ASC" for column in table.clustering)


_NEXT = {table.name: _next_rows(table) for table in (LIST_ROW, CONVERSATION, UID)}
_FIRST = {table.name: _first_rows(table) for table in (LIST_ROW, CONVERSATION, UID)}


@dataclass(frozen=True, slots=True)
class _Segment:
    """A range of a partition, `after` exclusive, `until` inclusive; None: from begin, to end."""

    name: str
    bucket: int
    after: Position | None
    until: Position | None
    rows: dict[Position, tuple[Any, ...]] = field(default_factory=dict)  # that are expected


@dataclass(frozen=True, slots=True)
class _Difference:
    what: str
    repair: RowWrite
    part: str
    of: str  # the message or thread


@dataclass(slots=True)
class ListCheck:
    """Compares all lists of one mailbox. `heads`: of its lists, at the seq of the check."""

    reads: MailboxReads
    user_id: UserId
    heads: dict[str, ListHead]
    found: CheckFindings
    later: LaterSteps
    _counts: dict[str, list[int]] = field(default_factory=dict)
    _buckets: dict[str, set[int]] = field(default_factory=dict)
    _open: _Segment | None = None  # the last one of the part before, which may go on

    async def run(self, expected: Iterable[Expected]) -> None:
        rows = iter(expected)
        while part := list(islice(rows, PART)):
            for (name, bucket, _), values in part:
                self._count(name, bucket, values)
            await self._compare(self._segments(part))
        if self._open is not None:
            await self._compare([self._rest(self._open)])
        for name, head in self.heads.items():
            empty = set(head.buckets) - self._buckets.get(name, set())
            await self._compare([_Segment(name, bucket, None, None) for bucket in sorted(empty)])
        await self._compare_heads()

    def _segments(self, part: Sequence[Expected]) -> Iterator[_Segment]:
        """Partitions of a part of the expected rows; the last one may go on in the next part."""
        before, (last_name, last_bucket, last_position) = self._open, part[-1][0]
        self._open = _Segment(last_name, last_bucket, None, last_position)
        for (name, bucket), rows in groupby(part, key=lambda row: row[0][:2]):
            after = None
            if before is not None and (before.name, before.bucket) == (name, bucket):
                after = before.until
            elif before is not None:
                yield self._rest(before)
            before = None
            is_last = (name, bucket) == (last_name, last_bucket)
            until = last_position if is_last else None
            yield _Segment(name, bucket, after, until, {key[2]: values for key, values in rows})

    def _rest(self, before: _Segment) -> _Segment:
        return _Segment(before.name, before.bucket, before.until, None)

    async def _compare(self, segments: Iterable[_Segment]) -> None:
        begins: list[_Segment] = []
        rest: list[_Segment] = []
        for segment in segments:
            (begins if segment.after is None else rest).append(segment)
        first = await self._first_rows(begins)
        every = await asyncio.gather(
            *(self._differences(segment, rows) for segment, rows in first),
            *(self._differences(segment, None) for segment in rest),
        )
        found = [one for part in every for one in part]
        unchanged = await self.later.unchanged({one.of for one in found})
        for one in found:
            if one.of in unchanged:
                await self.found.add(LISTS, [ViewDifference(one.part, one.what)], [one.repair])

    async def _first_rows(self, segments: Iterable[_Segment]) -> list[tuple[_Segment, list[Row]]]:
        """The first FIRST rows of the partitions: most lists of a thread have no more."""
        groups: dict[tuple[Table, int, int], list[_Segment]] = defaultdict(list)
        for one in segments:
            groups[table_of(one.name), self._era(one.name), one.bucket].append(one)
        found: list[tuple[_Segment, list[Row]]] = []
        for (table, era, bucket), group in groups.items():
            for begin in range(0, len(group), LISTS_MAX):
                part = group[begin : begin + LISTS_MAX]
                key = (self.user_id, [one.name for one in part], era, bucket, FIRST)
                rows: dict[str, list[Row]] = defaultdict(list)
                for name, *row in await self.reads.session.read_at_once(_FIRST[table.name], *key):
                    rows[name].append(tuple(row))
                found += [(one, rows[one.name]) for one in part]
        return found

    async def _differences(self, segment: _Segment, first: list[Row] | None) -> list[_Difference]:
        """Rows that are wrong, missing, or of no message."""
        table, missing, key = table_of(segment.name), dict(segment.rows), self._key(segment)
        width = len(table.clustering)
        found: list[_Difference] = []
        async for row in self._stored(segment, first):
            position, values = row[:width], row[width:]
            expected = missing.pop(position, None)
            if expected is None:
                what = f"{segment.name}: row {position} is of no message"
                repair = delete(table, *key, *position)
                found.append(_difference(table, segment.name, what, repair, row))
            elif expected != values:
                found.append(_wrong(table, key, position, expected))
        found += [_wrong(table, key, position, values) for position, values in missing.items()]
        return found

    async def _stored(self, segment: _Segment, first: list[Row] | None) -> AsyncIterator[Row]:
        """The stored rows of a segment; `first` are those with which its partition begins."""
        table, after = table_of(segment.name), segment.after
        rows, is_end = (first, len(first) < FIRST) if first is not None else ([], False)
        while rows or not is_end:
            for row in rows:
                after = row[: len(table.clustering)]
                if segment.until is not None and after > segment.until:
                    return
                yield row
            if is_end:
                return
            assert after is not None
            rows = await self.reads.session.read(
                _NEXT[table.name], *self._key(segment), *after, PART
            )
            is_end = len(rows) < PART

    def _key(self, segment: _Segment) -> tuple[Any, ...]:
        return (self.user_id, segment.name, self._era(segment.name), segment.bucket)

    def _era(self, name: str) -> int:
        return self.heads.get(name, ListHead()).era

    def _count(self, name: str, bucket: int, values: tuple[Any, ...]) -> None:
        if name.startswith("t:"):
            return  # the lists of threads have no heads
        one = decode_in_list(values[1]) if name.startswith(CONVERSATIONS) else None
        added = (1, one.unread > 0, one.total, one.unread) if one else (1, 0, 0, 0)
        known = self._counts.setdefault(name, [0, 0, 0, 0])
        self._counts[name] = [a + b for a, b in zip(known, added, strict=True)]
        self._buckets.setdefault(name, set()).add(bucket)

    async def _compare_heads(self) -> None:
        for name in sorted({*self.heads, *self._counts}):
            known = self.heads.get(name, ListHead())
            rows, unread_rows, messages, unread = self._counts.get(name, (0, 0, 0, 0))
            buckets = {*known.buckets, *self._buckets.get(name, ())}
            head = msgspec.structs.replace(
                known, rows=rows, unread_rows=unread_rows, messages=messages,
                unread_messages=unread, buckets=tuple(sorted(buckets)),
            )  # fmt: skip
            if head != known:
                what = f"the counts of list {name} are wrong"
                row = put(LIST_HEAD, self.user_id, name, encode(head))
                await self.found.add(LISTS, [ViewDifference(THREADS, what)], [row])


def _wrong(
    table: Table, key: tuple[Any, ...], position: Position, values: tuple[Any, ...]
) -> _Difference:
    name, row = key[1], (*position, *values)
    what = f"{name}: row {position} is wrong or missing"
    return _difference(table, name, what, put(table, *key, *row), row)


def _difference(
    table: Table, name: str, what: str, repair: RowWrite, row: Sequence[Any]
) -> _Difference:
    is_of_thread = table is CONVERSATION or name.startswith("t:")
    part = THREADS if is_of_thread else LISTS
    return _Difference(what, repair, part, row[_MESSAGE_OF[table.name]])
