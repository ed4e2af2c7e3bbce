"""Names in order: of domains, aliases and settings, which operators list.

A name is written before its row and is never deleted: the row decides whether it is shown. So no
clock decides between a deletion and a later addition.
"""

import asyncio
from collections.abc import AsyncIterator
from heapq import merge
from zlib import crc32

from schemas.cql.directory import LISTED_NAME, NAME_BUCKETS
from stores.cassandra.clock import now_us
from stores.cassandra.session import CassandraSession, Statement

WINDOW = 500  # names of a bucket in one query
_AFTER = LISTED_NAME.select("name", "AND name > ? LIMIT ?")


class ListedNames:
    """The names of one kind."""

    def __init__(self, session: CassandraSession, kind: str) -> None:
        self._session = session
        self._kind = kind

    def put(self, name: str) -> list[Statement]:
        bucket = crc32(name.encode()) % NAME_BUCKETS
        return [(LISTED_NAME.put, (self._kind, bucket, name, now_us()))]

    async def after(self, name: str, *, window: int = WINDOW) -> AsyncIterator[list[str]]:
        """Yield the names behind `name` in order, in lists of at most `window`."""
        while True:
            found = await asyncio.gather(
                *(
                    self._session.read(_AFTER, self._kind, bucket, name, window)
                    for bucket in range(NAME_BUCKETS)
                )
            )
            names = [row[0] for row in merge(*found)][:window]
            if names:
                yield names
            if len(names) < window:
                return
            name = names[-1]
