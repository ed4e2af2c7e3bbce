"""SearchIndex over SQLite FTS5, one file per bucket of users.

The bucket is a stable hash of the user id, modulo BUCKETS. So files stay small, and writes of two
users wait for each other only in the same bucket. Reads never wait for writes (WAL).
A document is on disk when `add` returns (synchronous=FULL, stores/sqlite/database_file.py); the
calling stage then commits its event. The index is a view: if its folder is lost, the index is
filled again from the mailboxes.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from mail.pagination import NEWEST, ListPosition
from mail.ports import IndexMatches
from mail.query.highlighter import HighlightedText
from mail.query.planner import IndexQuery, is_nothing
from mail.query.time_budget import TimeBudget
from mail.query.tree import Node
from schemas.ids import MessageId, UserId
from schemas.search import IndexDocument, IndexedTo
from stores.sqlite.search import bucket_search, bucket_statements
from stores.sqlite.search.bucket_file import BucketFile, SqliteSearchConfig
from stores.sqlite.search.bucket_search import BucketSearch
from stores.sqlite.search.bucket_statements import IndexChange
from stores.sqlite.search.time_limit import time_limit

P = ParamSpec("P")
T = TypeVar("T")

BUCKETS = 16  # part of the stored format: it decides which file holds a user


class SqliteSearchIndex:
    """SearchIndex in `folder`, which is created on first use. For use by one event loop.

    Any number of processes may read. Several processes may write, but wait for each other.
    """

    def __init__(self, folder: Path, config: SqliteSearchConfig | None = None) -> None:
        config = config or SqliteSearchConfig()
        writers = asyncio.Semaphore(config.writers)
        self._batch_max = config.batch_max
        self._buckets = [
            BucketFile(folder / f"search-{number:02d}.sqlite", config, writers)
            for number in range(BUCKETS)
        ]

    async def add(self, document: IndexDocument) -> None:
        await self._write(document.user_id, document.message_id, document)

    async def remove(self, user_id: UserId, message_id: MessageId) -> None:
        await self._write(user_id, message_id, None)

    async def find(
        self,
        user_id: UserId,
        query: IndexQuery,
        *,
        limit: int,
        before: ListPosition = NEWEST,
        highlighted: Node | None = None,
        budget: TimeBudget | None = None,
    ) -> IndexMatches:
        del highlighted  # a second read of the file costs nothing more
        if is_nothing(query):
            return IndexMatches([], None)
        return await self._search(
            user_id, query, budget, lambda search: search.find(before=before[0], limit=limit)
        )

    async def matching(
        self,
        user_id: UserId,
        query: IndexQuery,
        message_ids: Sequence[MessageId],
        *,
        budget: TimeBudget | None = None,
    ) -> set[MessageId]:
        if is_nothing(query):
            return set()
        return await self._search(
            user_id, query, budget, lambda search: search.matching(message_ids)
        )

    async def count(
        self, user_id: UserId, query: IndexQuery, *, limit: int, budget: TimeBudget | None = None
    ) -> int:
        if is_nothing(query):
            return 0
        return await self._search(user_id, query, budget, lambda search: search.count(limit=limit))

    async def highlight(
        self, user_id: UserId, node: Node, message_ids: Sequence[MessageId]
    ) -> dict[str, HighlightedText]:
        return await self._read(user_id, bucket_search.highlight, node, message_ids)

    def position(self, document: IndexDocument) -> ListPosition:
        return bucket_statements.id_of(document), document.message_id

    async def indexed(self, user_id: UserId, message_ids: Sequence[MessageId]) -> set[str]:
        return await self._read(user_id, bucket_statements.indexed, message_ids)

    async def clear(self, user_id: UserId) -> None:
        file = await self._bucket(user_id).file()
        await file.write(lambda connection: bucket_statements.mark_unfilled(connection, user_id))
        limit = self._batch_max
        while ids := await self._read(user_id, bucket_statements.first_ids, limit=limit):
            await asyncio.gather(*(self.remove(user_id, message_id) for message_id in ids))

    async def unfilled(self) -> list[UserId]:
        files = [await bucket.file() for bucket in self._buckets]
        return [
            user_id for file in files for user_id in await file.read(bucket_statements.unfilled)
        ]

    async def indexed_to(self, user_id: UserId) -> IndexedTo:
        return await self._read(user_id, bucket_statements.indexed_to)

    async def mark_indexed(self, user_id: UserId, to: IndexedTo) -> None:
        file = await self._bucket(user_id).file()
        await file.write(lambda connection: bucket_statements.mark_indexed(connection, user_id, to))

    async def mark_filled(self, user_id: UserId, to: IndexedTo) -> None:
        file = await self._bucket(user_id).file()
        await file.write(lambda connection: bucket_statements.mark_filled(connection, user_id, to))

    async def close(self) -> None:
        """Finish the writes under way, then close; later calls raise StoreUnavailable."""
        await asyncio.gather(*(bucket.close() for bucket in self._buckets))

    async def _search(
        self,
        user_id: UserId,
        query: IndexQuery,
        budget: TimeBudget | None,
        run: Callable[[BucketSearch], T],
    ) -> T:
        def search(connection: sqlite3.Connection, user_id: UserId) -> T:
            with time_limit(connection, budget) as ends_s:
                return run(BucketSearch(connection, user_id, query, ends_s))

        return await self._read(user_id, search)

    async def _read(
        self,
        user_id: UserId,
        statement: Callable[Concatenate[sqlite3.Connection, UserId, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        file = await self._bucket(user_id).file()
        return await file.read(lambda connection: statement(connection, user_id, *args, **kwargs))

    async def _write(
        self, user_id: UserId, message_id: MessageId, document: IndexDocument | None
    ) -> None:
        change = IndexChange(user_id=user_id, message_id=message_id, document=document)
        await self._bucket(user_id).write(change)

    def _bucket(self, user_id: UserId) -> BucketFile:
        return self._buckets[bucket_of(user_id)]


def bucket_of(user_id: UserId) -> int:
    """Return the number of the user's bucket, from 0; it never changes."""
    return hashlib.blake2b(user_id.encode(), digest_size=1).digest()[0] % BUCKETS
