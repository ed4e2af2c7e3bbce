"""Batched reads by key: reads requested in one turn of the event loop run as one job.

A round trip to a reader thread costs a multiple of one read by key. Only for reads whose time does
not depend on what they return: each read of a batch waits for the whole batch.
"""

import asyncio
from collections.abc import Callable, Sequence
from sqlite3 import Connection, Error
from typing import Generic, TypeVar

from stores.sqlite.group_commit import SqliteFile
from stores.waiters import settle

K = TypeVar("K")
T = TypeVar("T")

BATCH_MAX = 64  # keys in a job


class BatchedReads(Generic[K, T]):
    """`read(connection, key)` for many keys in one job. For use by one event loop."""

    def __init__(self, file: SqliteFile, read: Callable[[Connection, K], T]) -> None:
        self._file = file
        self._read = read
        self._batch: list[tuple[K, asyncio.Future[T]]] = []  # the batch that is still open
        self._tasks: set[asyncio.Task[None]] = set()

    async def of(self, key: K) -> T:
        """Return what `read` returns for `key`, or raise what it raises. StoreUnavailable."""
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if len(self._batch) == BATCH_MAX:
            self._batch = []  # the task of the full batch keeps it
        self._batch.append((key, waiter))
        if len(self._batch) == 1:
            task = asyncio.create_task(self._run_batch(self._batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await waiter

    async def _run_batch(self, batch: list[tuple[K, asyncio.Future[T]]]) -> None:
        if self._batch is batch:
            self._batch = []
        keys = [key for key, _ in batch]
        try:
            outcomes = await self._file.read(lambda connection: self._read_all(connection, keys))
        except Exception as error:  # noqa: BLE001 raised in each caller of `of`
            outcomes = [error] * len(batch)
        settle([waiter for _, waiter in batch], outcomes)

    def _read_all(self, connection: Connection, keys: Sequence[K]) -> list[T | Exception]:
        return [self._read_key(connection, key) for key in keys]

    def _read_key(self, connection: Connection, key: K) -> T | Exception:
        try:
            return self._read(connection, key)
        except Error:
            raise  # the engine failed: for every key of the batch
        except Exception as error:  # noqa: BLE001 raised in the caller that asked for this key
            return error
