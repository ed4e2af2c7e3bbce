"""Small reads of one kind, made together: what is asked for in one turn of the loop is one job.

The way to a thread and back costs a multiple of a read by key. Only for reads that are short
whatever they find: each waits for those that it is made with.
"""

import asyncio
from collections.abc import Callable, Sequence
from sqlite3 import Connection, Error
from typing import Generic, TypeVar

from stores.sqlite.group_commit import SqliteFile

K = TypeVar("K")
T = TypeVar("T")

TOGETHER_MAX = 64  # in a job


class BatchedReads(Generic[K, T]):
    """`look(connection, key)` for many keys at once. One event loop uses it."""

    def __init__(self, file: SqliteFile, look: Callable[[Connection, K], T]) -> None:
        self._file = file
        self._look = look
        self._asked: list[tuple[K, asyncio.Future[T]]] = []
        self._reading: set[asyncio.Task[None]] = set()

    async def of(self, key: K) -> T:
        """What `look` finds, or raises, for `key`. StoreUnavailable."""
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if len(self._asked) == TOGETHER_MAX:
            self._asked = []  # the task that was made for them has them
        self._asked.append((key, waiter))
        if len(self._asked) == 1:
            task = asyncio.create_task(self._read(self._asked))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)
        return await waiter

    async def _read(self, asked: list[tuple[K, asyncio.Future[T]]]) -> None:
        if self._asked is asked:
            self._asked = []
        keys = [key for key, _ in asked]
        try:
            found = await self._file.read(lambda connection: self._look_at(connection, keys))
        except Exception as error:  # noqa: BLE001 it is raised to whom it belongs
            found = [error] * len(asked)
        for (_, waiter), one in zip(asked, found, strict=True):
            if waiter.done():  # nobody waits any more
                continue
            if isinstance(one, Exception):
                waiter.set_exception(one)
            else:
                waiter.set_result(one)

    def _look_at(self, connection: Connection, keys: Sequence[K]) -> list[T | Exception]:
        return [self._attempt(connection, key) for key in keys]

    def _attempt(self, connection: Connection, key: K) -> T | Exception:
        try:
            return self._look(connection, key)
        except Error:
            raise  # the engine failed for all of them
        except Exception as error:  # noqa: BLE001 it is raised to whom it belongs
            return error
