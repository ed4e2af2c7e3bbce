"""Rows of a table as they are in a backup, and the reads that copy a whole table."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

import msgspec

from mail.errors import StoreUnavailable
from schemas.cql.tables import Table
from stores.cassandra.session import CassandraSession, Row

log = logging.getLogger(__name__)
PAGE_ROWS = 500
TRIES = 10
RETRY_S = 2.0
_COLUMNS = (
    "SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?"
)
T = TypeVar("T")


class CopiedRows(msgspec.Struct, frozen=True, array_like=True):
    """Rows of one table; None: a cell without a value."""

    table: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class RowSink(Protocol):
    """Where copied rows go, one after the other."""

    def add(self, copied: CopiedRows) -> None: ...

    def mark(self) -> int:
        """Return the present end."""

    def rewind(self, mark: int) -> None:
        """Forget what was added since the end was `mark`."""


async def columns_of(session: CassandraSession, table: Table) -> tuple[str, ...]:
    """Return all columns of a table, also those that `table` does not name."""
    rows = await session.read(_COLUMNS, session.config.keyspace, table.name)
    return tuple(sorted(name for (name,) in rows))


async def copy_table(session: CassandraSession, table: Table, sink: RowSink) -> None:
    """Copy all rows of a table, in pages. Raises StoreUnavailable: after TRIES for one page."""
    columns = await columns_of(session, table)
    query = f"SELECT {', '.join(columns)} FROM {table.name}"  # noqa: S608
    async for page in pages(session, query):
        sink.add(CopiedRows(table.name, columns, page))


async def pages(session: CassandraSession, query: str) -> AsyncIterator[list[Row]]:
    """Yield the rows of a query without values, in pages that are not empty."""
    after: bytes | None = None
    while True:
        place = after
        page, after = await tried(lambda: session.page(query, rows=PAGE_ROWS, after=place))  # noqa: B023
        if page:
            yield page
        if after is None:
            return


async def tried(request: Callable[[], Awaitable[T]]) -> T:
    """Repeat a request that may be repeated, TRIES times. Raises StoreUnavailable."""
    for left in range(TRIES - 1, -1, -1):
        try:
            return await request()
        except StoreUnavailable as error:
            if not left:
                raise
            log.warning("%s; again in %g s", error, RETRY_S)
            await asyncio.sleep(RETRY_S)
    raise AssertionError("unreachable")
