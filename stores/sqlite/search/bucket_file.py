"""One file of the full-text index: opened on first use, written in batches.

A busy bucket is written four times a second. A document in a transaction of its own costs up to
three times the CPU, because each transaction leaves a segment that has to be merged.
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
from stores.waiters import settle

SEARCH_SQLITE = SqliteConfig(readers=1, cache_kib=2048)  # the system caches the files too


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteSearchConfig:
    """How one process writes and reads the index.

    A bucket's transaction begins at the later of two times: `gather_min_s` after its first change,
    and `gather_s` after the bucket's previous transaction. It begins at once when `gather_max`
    changes wait.
    """

    gather_min_s: float = 0.002
    gather_s: float = 0.25
    gather_max: int = 32
    batch_max: int = 256  # changes in a transaction
    writers: int = 2  # buckets written at once: one computes while the other waits for the disk
    sqlite: SqliteConfig = SEARCH_SQLITE


@dataclass(slots=True, eq=False)
class _PendingChange:
    """A change, and the future of its caller."""

    change: IndexChange
    waiter: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class BucketFile:
    """One file: opened on first use, written by one transaction at a time."""

    path: Path
    config: SqliteSearchConfig
    writers: asyncio.Semaphore  # shared by all buckets; see SqliteSearchConfig.writers
    _file: SqliteFile | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _pending: list[_PendingChange] = field(default_factory=list)
    _enough: asyncio.Event = field(default_factory=asyncio.Event)  # gather_max changes are pending
    _writer: asyncio.Task[None] | None = None
    _closed: bool = False
    _wrote_s: float = float("-inf")  # loop time; end of the last transaction

    async def file(self) -> SqliteFile:
        """Return the open file. Raises StoreUnavailable: closed, or it cannot be opened."""
        self._check_open()
        return await self._open()

    async def _open(self) -> SqliteFile:
        async with self._opening:
            if self._file is None:
                self._file = await SqliteFile.open(self.path, SEARCH, self.config.sqlite)
            return self._file

    async def write(self, change: IndexChange) -> None:
        """Return once `change` is on disk."""
        self._check_open()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append(_PendingChange(change, waiter))
        if len(self._pending) >= self.config.gather_max:
            self._enough.set()
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
        while self._pending:
            await self._gather()
            async with self.writers:
                if batch := self._next_batch():
                    await self._write_batch(batch)
                self._wrote_s = asyncio.get_running_loop().time()

    def _next_batch(self) -> list[_PendingChange]:
        """Take the oldest changes; drop those whose caller was cancelled (its partition moved)."""
        batch = self._pending[: self.config.batch_max]
        del self._pending[: self.config.batch_max]
        if len(self._pending) < self.config.gather_max:
            self._enough.clear()
        return [pending for pending in batch if not pending.waiter.done()]

    async def _gather(self) -> None:
        """Wait until the next transaction is due; see SqliteSearchConfig."""
        since_s = asyncio.get_running_loop().time() - self._wrote_s
        wait_s = max(self.config.gather_min_s, self.config.gather_s - since_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._enough.wait()

    async def _write_batch(self, batch: list[_PendingChange]) -> None:
        """Write the changes in one transaction; if it fails for one of them, write each alone."""
        changes = [pending.change for pending in batch]
        outcome: Exception | None = None
        try:
            file = await self._open()
            await file.write(lambda connection: bucket_statements.write(connection, changes))
        except StoreUnavailable as error:
            outcome = error
        except Exception as error:  # noqa: BLE001 raised in the caller of `write`
            if len(batch) > 1:
                for pending in batch:
                    await self._write_batch([pending])
                return
            outcome = error
        settle([pending.waiter for pending in batch], [outcome] * len(batch))

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(self.path.stem, "closed")
