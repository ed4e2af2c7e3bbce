"""Reads of rows by their key: those that callers ask for in one turn of the loop are one query.

For the stages, which handle many mails at once. The node that is asked does not have all of the
rows (`read_by_keys`), so what one user waits for is read without this.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from mail.errors import StoreUnavailable
from schemas.cql.tables import Table
from stores.cassandra.session import KEYS_MAX, CassandraSession, Row

_Found = dict[str, list[Row]] | StoreUnavailable


@dataclass(slots=True, eq=False)
class _Query:
    task: asyncio.Task[_Found] | None = None
    keys: set[str] = field(default_factory=set)


class JoinedReads:
    """`columns` of the rows of a table whose partition key is one text."""

    def __init__(self, session: CassandraSession, table: Table, columns: str) -> None:
        (key,) = table.partition
        self._session = session
        self._one = table.select(columns)
        self._many = f"SELECT {key}, {columns} FROM {table.name} WHERE {key} IN ?"  # noqa: S608
        self._next: _Query | None = None

    async def rows(self, key: str) -> list[Row]:
        """The rows of the partition `key`. Raises StoreUnavailable."""
        query = self._next
        if query is None or len(query.keys) == KEYS_MAX:
            query = self._next = _Query()
            query.task = asyncio.create_task(self._read(query))
        query.keys.add(key)
        assert query.task is not None
        found = await asyncio.shield(query.task)  # others wait for it too
        if isinstance(found, StoreUnavailable):
            raise found
        return found.get(key, [])

    async def _read(self, query: _Query) -> _Found:
        """Runs after all that is ready has run."""
        if self._next is query:
            self._next = None
        keys = list(query.keys)
        try:
            if len(keys) == 1:
                return {keys[0]: await self._session.read(self._one, keys[0])}
            found: dict[str, list[Row]] = defaultdict(list)
            for key, *row in await self._session.read_by_keys(self._many, keys=keys):
                found[key].append(tuple(row))
        except StoreUnavailable as error:
            return error
        return found
