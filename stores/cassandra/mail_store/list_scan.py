"""Rows of several lists in one order, read in windows.

A list has a partition for each of its buckets. A window reads as many rows of each partition, and
merges them; rows behind the last row that was read of a longer partition are for the next window.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator

from mail.pagination import NEWEST, OLDEST, ListPosition
from schemas.cql.tables import Table
from schemas.ids import UserId
from stores.cassandra.mail_store.lists import ListHead, table_of
from stores.cassandra.session import CassandraSession, Row

_BETWEEN = "AND (received_at_ms, message_id) > (?, ?) AND (received_at_ms, message_id) < (?, ?)"
_OLDEST_FIRST = "ORDER BY received_at_ms ASC, message_id ASC"
LISTS_MAX = 50  # in one query
Bounds = tuple[ListPosition, ListPosition]  # both exclusive
EVERY: Bounds = (OLDEST, NEWEST)
_Group = tuple[Table, list[str], int, int]  # table, lists, era, bucket


class ListScan:
    """The rows of some lists between two bounds; a row begins with received_at_ms, message_id."""

    def __init__(
        self,
        session: CassandraSession,
        user_id: UserId,
        lists: Iterable[tuple[str, ListHead]],
        columns: str,
        bounds: Bounds = EVERY,
    ) -> None:
        self._session = session
        self._user_id = user_id
        self._groups = list(_groups(lists))
        self._columns = f"list, received_at_ms, message_id, {columns}"
        self._bounds = bounds

    async def windows(self, size: int, *, is_newer: bool = False) -> AsyncIterator[list[Row]]:
        """Yield the rows newest first, or for `is_newer` oldest first.

        A window has up to `size` rows of each partition.
        """
        low, high = self._bounds
        while self._groups:
            found = await asyncio.gather(
                *(self._read(group, (low, high), size, is_newer=is_newer) for group in self._groups)
            )
            parts = [rows for by_list in found for rows in by_list.values()]
            ends = [rows[-1][:2] for rows in parts if len(rows) == size]
            end = (min(ends) if is_newer else max(ends)) if ends else None
            every = sorted((row for rows in parts for row in rows), key=_position)
            if not is_newer:
                every.reverse()
            if end is not None:
                every = [row for row in every if (row[:2] <= end if is_newer else row[:2] >= end)]
                low, high = (end, high) if is_newer else (low, end)
            yield every
            if end is None:
                return

    async def _read(
        self, group: _Group, bounds: Bounds, size: int, *, is_newer: bool
    ) -> dict[str, list[Row]]:
        """The rows of each list of the group, in the direction of reading."""
        table, names, era, bucket = group
        order = _OLDEST_FIRST if is_newer else ""
        query = (
            f"SELECT {self._columns} FROM {table.name} WHERE user_id = ? AND list IN ? AND era = ?"  # noqa: S608
            f" AND bucket = ? {_BETWEEN} {order} PER PARTITION LIMIT ?"
        )
        values = (self._user_id, names, era, bucket, *bounds[0], *bounds[1], size)
        found: dict[str, list[Row]] = defaultdict(list)
        for row in await self._session.read_at_once(query, *values):
            found[row[0]].append(row[1:])
        return found


def _groups(lists: Iterable[tuple[str, ListHead]]) -> Iterator[_Group]:
    """The partitions of the lists that have rows, those with equal era and bucket together."""
    names: dict[tuple[Table, int, int], list[str]] = defaultdict(list)
    for name, head in lists:
        for bucket in head.buckets if head.rows > 0 else ():
            names[table_of(name), head.era, bucket].append(name)
    for (table, era, bucket), every in names.items():
        for first in range(0, len(every), LISTS_MAX):
            yield table, every[first : first + LISTS_MAX], era, bucket


def _position(row: Row) -> tuple[int, str]:
    return row[0], row[1]
