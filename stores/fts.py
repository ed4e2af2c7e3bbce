"""Full-text search of the embedded profile: SQLite FTS5, one file per bucket of users.

A bucket is a stable hash of the user id, modulo BUCKETS: files stay small, and no two users' writes
wait for each other unless they share one. Reads never wait for writes (WAL).
An added document is on disk when `add` returns (synchronous=FULL, stores/sqlite_base.py): the
stage that calls it acknowledges its event then. A bucket that is busy is written four times a
second: alone, a document costs up to three times the CPU, as each transaction leaves a segment that
has to be merged.
The index is a projection: when its folder is lost, it is filled again from the mailboxes.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from mail.cursors import NEWEST, Place
from mail.errors import StoreUnavailable
from mail.highlights import Marked
from mail.query import Node
from mail.query_plan import Wanted, is_nothing
from schemas.records import IndexDocument
from schemas.search_sqlite import SEARCH
from stores import fts_bucket
from stores.fts_bucket import Change
from stores.sqlite_base import SqliteConfig
from stores.sqlite_threads import SqliteFile

P = ParamSpec("P")
T = TypeVar("T")

BUCKETS = 16  # part of the format: another number would look for users in other files


@dataclass(frozen=True, slots=True, kw_only=True)
class FtsConfig:
    """How the index is written and read."""

    company_s: float = 0.002  # wait for company before a bucket's transaction ...
    gather_s: float = 0.25  # ... or, while there is some, so long after the one before ...
    company: int = 32  # ... or until so many wait
    batch_max: int = 256  # documents in a transaction
    writers: int = 2  # buckets written at once: one computes while the other waits for the disk
    readers: int = 1  # threads per bucket
    cache_kib: int = 2048  # per connection; the system caches the files too
    busy_timeout_s: float = 5.0  # wait for another process that writes, then StoreUnavailable


class FtsIndex:
    """SearchIndex over SQLite FTS5. `folder` is made on first use; one event loop uses it.

    Any number of processes may read. Several may write, at the price of waiting for each other.
    """

    def __init__(self, folder: Path, config: FtsConfig | None = None) -> None:
        config = config or FtsConfig()
        turns = asyncio.Semaphore(config.writers)
        self._batch_max = config.batch_max
        self._buckets = [
            _Bucket(folder / f"search-{number:02d}.sqlite", config, turns)
            for number in range(BUCKETS)
        ]

    async def add(self, document: IndexDocument) -> None:
        await self._change(document.user_id, document.message_id, document)

    async def remove(self, user_id: str, message_id: str) -> None:
        await self._change(user_id, message_id, None)

    async def find(
        self, user_id: str, wanted: Wanted, *, limit: int, before: Place = NEWEST
    ) -> list[Place]:
        if is_nothing(wanted):
            return []
        return await self._read(user_id, fts_bucket.find, wanted, limit=limit, before=before[0])

    async def among(self, user_id: str, wanted: Wanted, message_ids: Sequence[str]) -> set[str]:
        if is_nothing(wanted):
            return set()
        return await self._read(user_id, fts_bucket.among, wanted, message_ids)

    async def count(self, user_id: str, wanted: Wanted, *, limit: int) -> int:
        if is_nothing(wanted):
            return 0
        return await self._read(user_id, fts_bucket.count, wanted, limit=limit)

    async def mark(self, user_id: str, node: Node, message_ids: Sequence[str]) -> dict[str, Marked]:
        return await self._read(user_id, fts_bucket.mark, node, message_ids)

    async def known(self, user_id: str, message_ids: Sequence[str]) -> set[str]:
        return await self._read(user_id, fts_bucket.known, message_ids)

    async def lose(self, user_id: str) -> None:
        file = await self._bucket(user_id).file()
        await file.write(lambda connection: fts_bucket.lost(connection, user_id))
        while some := await self._read(user_id, fts_bucket.some, limit=self._batch_max):
            await asyncio.gather(*(self.remove(user_id, message_id) for message_id in some))

    async def unfilled(self) -> list[str]:
        files = [await bucket.file() for bucket in self._buckets]
        return [user_id for file in files for user_id in await file.read(fts_bucket.unfilled)]

    async def filled(self, user_id: str) -> None:
        file = await self._bucket(user_id).file()
        await file.write(lambda connection: fts_bucket.filled(connection, user_id))

    async def close(self) -> None:
        """Finish the writes under way, then close; later calls raise StoreUnavailable."""
        await asyncio.gather(*(bucket.close() for bucket in self._buckets))

    async def _read(
        self,
        user_id: str,
        work: Callable[Concatenate[sqlite3.Connection, str, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        file = await self._bucket(user_id).file()
        return await file.read(lambda connection: work(connection, user_id, *args, **kwargs))

    async def _change(self, user: str, message: str, document: IndexDocument | None) -> None:
        change = Change(user_id=user, message_id=message, document=document)
        await self._bucket(user).write(change)

    def _bucket(self, user_id: str) -> "_Bucket":
        return self._buckets[bucket_of(user_id)]


def bucket_of(user_id: str) -> int:
    """The bucket of a user, from 0; the same for ever."""
    return hashlib.blake2b(user_id.encode(), digest_size=1).digest()[0] % BUCKETS


@dataclass(slots=True, eq=False)
class _Waiting:
    """A change, and who waits for it."""

    change: Change
    waiter: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class _Bucket:
    """One file: opened when first needed, written by one transaction at a time."""

    path: Path
    config: FtsConfig
    turns: asyncio.Semaphore
    _file: SqliteFile | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: list[_Waiting] = field(default_factory=list)
    _many: asyncio.Event = field(default_factory=asyncio.Event)
    _writer: asyncio.Task[None] | None = None
    _closed: bool = False
    _wrote_s: float = float("-inf")  # when its last transaction ended

    async def file(self) -> SqliteFile:
        """The open file. StoreUnavailable: closed, or it cannot be opened."""
        self._check_open()
        return await self._open()

    async def _open(self) -> SqliteFile:
        async with self._opening:
            if self._file is None:
                self._file = await SqliteFile.open(self.path, SEARCH, self._sqlite())
            return self._file

    async def write(self, change: Change) -> None:
        """Return once `change` is on disk."""
        self._check_open()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(change, waiter))
        if len(self._waiting) >= self.config.company:
            self._many.set()
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        await waiter

    async def close(self) -> None:
        self._closed = True
        if self._writer is not None:
            await self._writer
        async with self._opening:
            if self._file is not None:
                await self._file.close()

    async def _write_all(self) -> None:
        while self._waiting:
            await self._gathered()
            async with self.turns:
                if batch := self._next_batch():
                    await self._write_batch(batch)
                self._wrote_s = asyncio.get_running_loop().time()

    def _next_batch(self) -> list[_Waiting]:
        """The first for which somebody waits. A worker that lost its partition does not."""
        batch = self._waiting[: self.config.batch_max]
        del self._waiting[: self.config.batch_max]
        if len(self._waiting) < self.config.company:
            self._many.clear()
        return [waiting for waiting in batch if not waiting.waiter.done()]

    async def _gathered(self) -> None:
        """Until it is time, or many wait; a bucket that was quiet is written at once."""
        since_s = asyncio.get_running_loop().time() - self._wrote_s
        with suppress(TimeoutError):
            async with asyncio.timeout(max(self.config.company_s, self.config.gather_s - since_s)):
                await self._many.wait()

    async def _write_batch(self, batch: list[_Waiting]) -> None:
        changes = [waiting.change for waiting in batch]
        try:
            file = await self._open()
            await file.write(lambda connection: fts_bucket.write(connection, changes))
        except StoreUnavailable as error:
            _settle(batch, error)
        except Exception as error:  # noqa: BLE001 it is raised to whom it belongs
            if len(batch) == 1:
                _settle(batch, error)
            for waiting in batch if len(batch) > 1 else ():
                await self._write_batch([waiting])
        else:
            _settle(batch, None)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(self.path.stem, "closed")

    def _sqlite(self) -> SqliteConfig:
        return SqliteConfig(
            readers=self.config.readers,
            cache_kib=self.config.cache_kib,
            busy_timeout_s=self.config.busy_timeout_s,
        )


def _settle(batch: list[_Waiting], error: Exception | None) -> None:
    for waiting in batch:
        if waiting.waiter.done():  # nobody waits any more
            continue
        if error is None:
            waiting.waiter.set_result(None)
        else:
            waiting.waiter.set_exception(error)
