"""One file of the full-text index: opened when first needed, written by batches.

A bucket that is busy is written four times a second: alone, a document costs up to three times the
CPU, as each transaction leaves a segment that has to be merged.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mail.errors import StoreUnavailable
from schemas.sqlite.search import SEARCH
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.group_commit import SqliteFile
from stores.sqlite.search import bucket_statements
from stores.sqlite.search.bucket_statements import IndexChange


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteSearchConfig:
    """How the index is written and read."""

    company_s: float = 0.002  # wait for company before a bucket's transaction ...
    gather_s: float = 0.25  # ... or, while there is some, so long after the one before ...
    company: int = 32  # ... or until so many wait
    batch_max: int = 256  # documents in a transaction
    writers: int = 2  # buckets written at once: one computes while the other waits for the disk
    readers: int = 1  # threads per bucket
    cache_kib: int = 2048  # per connection; the system caches the files too
    busy_timeout_s: float = 5.0  # wait for another process that writes, then StoreUnavailable


@dataclass(slots=True, eq=False)
class _Waiting:
    """A change, and who waits for it."""

    change: IndexChange
    waiter: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class BucketFile:
    """One file: opened when first needed, written by one transaction at a time."""

    path: Path
    config: SqliteSearchConfig
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

    async def write(self, change: IndexChange) -> None:
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
            await file.write(lambda connection: bucket_statements.write(connection, changes))
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
