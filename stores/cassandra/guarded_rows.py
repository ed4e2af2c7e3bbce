"""Rows that are changed by lightweight transactions only: one value for each key.

A change names the stored bytes that it replaces, so of two writers one acts after the other. No
other statement writes these tables, because timestamps of clients and of lightweight transactions
have no order.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

import msgspec

from mail.errors import StoreUnavailable
from schemas.cql.tables import Table
from stores.cassandra.joined_reads import JoinedReads
from stores.cassandra.session import CassandraSession, Statement

T = TypeVar("T")
Change = Callable[[T | None], T | None]  # the row after a change; None: there is no row
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
        self._joined = JoinedReads(session, table, column) if len(table.key) == 1 else None
        # For tables of one key column.
        self._many = f"SELECT {columns} FROM {table.name} WHERE {table.key[-1]} IN ?"  # noqa: S608
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

    async def get_joined(self, key: str) -> T | None:
        """As `get` of a table of one key column, in one query with calls of the same moment."""
        assert self._joined is not None
        rows = await self._joined.rows(key) if key else ()
        return self._decode(rows[0][0]) if rows else None

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
        """Return the row of each key of one column. Raises StoreUnavailable."""
        found = await self._stored_of(keys)
        return [None if (row := found.get(key)) is None else self._decode(row) for key in keys]

    async def _stored_of(self, keys: Iterable[Any]) -> dict[Any, bytes]:
        named = [key for key in keys if key != ""]
        return dict(await self._session.read_by_keys(self._many, keys=named))

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
        to: Change[T],
        first: Callable[[T], Sequence[Statement]] = _nothing,
        prepare: Callable[[T], Awaitable[None]] | None = None,
        before_removal: Callable[[T], Sequence[Statement]] = _nothing,
        is_new: bool = False,
    ) -> T | None:
        """Replace the row by that which `to` returns for it; None: there is no row.

        Before a row is written, the statements of `first` are carried out, then `prepare`; before
        a row is removed, the statements of `before_removal` for that row.
        `is_new`: there is probably no row, so it is read only if there is one.
        Returns the new row.
        Raises what `to` raises. StoreUnavailable: the change may have been made, or others change
        the row all the time.
        """
        async with self._lock(key):
            for attempt in range(ATTEMPTS):
                stored = None if is_new and attempt == 0 else await self.stored(*key)
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

    async def change_all(
        self,
        changes: Mapping[Any, Change[T]],
        *,
        first: Callable[[Sequence[T]], Sequence[Statement]],
    ) -> None:
        """As `change` for each key of one column, with few requests besides the changes themselves.

        All rows are read together, and `first` gets all rows that are going to be written.
        """
        async with AsyncExitStack() as locked:
            for key in sorted(changes):  # in one order: two calls never wait for each other
                await locked.enter_async_context(self._lock((key,)))
            left = dict(changes)
            for _ in range(ATTEMPTS):
                left = await self._attempt(left, first)
                if not left:
                    return
        raise StoreUnavailable("cassandra", f"others change {len(left)} rows of {self.table.name}")

    async def _attempt(
        self, changes: Mapping[Any, Change[T]], first: Callable[[Sequence[T]], Sequence[Statement]]
    ) -> dict[Any, Change[T]]:
        """Change rows of one key column; return the changes of those that others have changed."""
        stored = await self._stored_of(changes)
        made: dict[Any, T | None] = {}
        for key, to in changes.items():
            before = self._decode(stored[key]) if key in stored else None
            after = to(before)
            if after != before:
                made[key] = after
        await self._session.write(first([row for row in made.values() if row is not None]))
        done = await asyncio.gather(
            *(
                self._exchange((key,), stored.get(key), None if row is None else _encode(row))
                for key, row in made.items()
            )
        )
        return {key: changes[key] for key, is_done in zip(made, done, strict=True) if not is_done}

    def _lock(self, key: tuple[Any, ...]) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())

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
