"""Rows that are changed by lightweight transactions only: one value for each key.

A change names the stored bytes that it replaces, so of two writers one acts after the other. No
other statement writes these tables, because timestamps of clients and of lightweight transactions
have no order.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

import msgspec

from mail.errors import StoreUnavailable
from schemas.cql.tables import Table
from stores.cassandra.session import CassandraSession, Statement

T = TypeVar("T")
EVERY_ROWS = 200  # in one page of `every`
ATTEMPTS = 10  # to change a row that other processes change too
_encode = msgspec.msgpack.Encoder().encode


def _nothing(_: Any) -> Sequence[Statement]:
    return ()


class GuardedRows(Generic[T]):
    """The rows of `table`, whose only value is a `kind` as msgpack."""

    def __init__(self, session: CassandraSession, table: Table, kind: Any) -> None:
        (column,) = table.values
        columns = ", ".join((*table.key, column))
        marks = ", ".join("?" * (len(table.key) + 1))
        has_key = " AND ".join(f"{each} = ?" for each in table.key)
        self.table = table
        self._session = session
        self._read = table.select(column)
        self._every = f"SELECT {columns} FROM {table.name}"  # noqa: S608
        self._add = f"INSERT INTO {table.name} ({columns}) VALUES ({marks}) IF NOT EXISTS"  # noqa: S608
        self._replace = f"UPDATE {table.name} SET {column} = ? WHERE {has_key} IF {column} = ?"  # noqa: S608
        self._remove = f"DELETE FROM {table.name} WHERE {has_key} IF {column} = ?"  # noqa: S608
        self._decode: Callable[[bytes], T] = msgspec.msgpack.Decoder(kind).decode
        # Of one process one writer at a time: rivals in a lightweight transaction delay each other.
        self._locks: WeakValueDictionary[tuple[Any, ...], asyncio.Lock] = WeakValueDictionary()

    async def get(self, *key: Any) -> T | None:
        """Return the row of `key`; no row has an empty name. Raises StoreUnavailable."""
        stored = await self.stored(*key)
        return None if stored is None else self._decode(stored)

    def decoded(self, stored: bytes) -> T:
        """The row of a stored value, which another query has read."""
        return self._decode(stored)

    async def stored(self, *key: Any) -> bytes | None:
        """Return the stored value of `key`, for `exchange`."""
        rows = await self._session.read(self._read, *key) if "" not in key else ()
        return rows[0][0] if rows else None

    async def get_serial(self, *key: Any) -> T | None:
        """As `get`, after every change that was begun before, also if its writer was not answered.

        After this read, a change that was begun before and is not seen is never made.
        """
        rows = await self._session.read_serial(self._read, *key)
        return self._decode(rows[0][0]) if rows else None

    async def exchange(self, *key: Any, before: bytes, after: T) -> bool:
        """Replace the stored value `before`; False: the row has another value. One request.

        Raises StoreUnavailable: the row may have been replaced.
        """
        return await self._exchange(key, before, _encode(after))

    async def get_many(self, keys: Sequence[Any]) -> list[T | None]:
        """Return the row of each key of one column, at the same time."""
        return list(await asyncio.gather(*(self.get(key) for key in keys)))

    async def every(self) -> AsyncIterator[T]:
        """Yield all rows, in the order of tokens. Raises StoreUnavailable."""
        after: bytes | None = None
        while True:
            page, after = await self._session.page(self._every, rows=EVERY_ROWS, after=after)
            for row in page:
                yield self._decode(row[-1])
            if after is None:
                return

    async def add(self, *key: Any, row: T) -> T:
        """Add `row` unless there is one; return the row that is there then."""
        return await self.change(*key, to=lambda known: row if known is None else known) or row

    async def change(
        self,
        *key: Any,
        to: Callable[[T | None], T | None],
        first: Callable[[T], Sequence[Statement]] = _nothing,
        prepare: Callable[[T], Awaitable[None]] | None = None,
        before_removal: Callable[[T], Sequence[Statement]] = _nothing,
    ) -> T | None:
        """Replace the row by that which `to` returns for it; None: there is no row.

        Before a row is written, the statements of `first` are carried out, then `prepare`; before
        a row is removed, the statements of `before_removal` for that row.
        Returns the new row.
        Raises what `to` raises. StoreUnavailable: the change may have been made, or others change
        the row all the time.
        """
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            for _ in range(ATTEMPTS):
                stored = await self.stored(*key)
                before = None if stored is None else self._decode(stored)
                after = to(before)
                if after == before:
                    return before
                if after is not None:
                    await self._session.write(first(after))
                if after is not None and prepare is not None:
                    await prepare(after)
                if after is None and before is not None:
                    await self._session.write(before_removal(before))
                if await self._exchange(key, stored, None if after is None else _encode(after)):
                    return after
        raise StoreUnavailable("cassandra", f"others change the row {key} of {self.table.name}")

    async def _exchange(
        self, key: tuple[Any, ...], before: bytes | None, after: bytes | None
    ) -> bool:
        """Whether `after` was written in place of `before`."""
        if before is None:
            done = await self._session.read(self._add, *key, after)
        elif after is None:
            done = await self._session.read(self._remove, *key, before)
        else:
            done = await self._session.read(self._replace, after, *key, before)
        return bool(done[0][0])
