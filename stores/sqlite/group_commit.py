"""SQLite off the event loop: one writer thread with group commit, a few reader threads.

Writes that arrive while the disk is busy with the last transaction are gathered into the next one;
yet each fails or succeeds alone. A piece of work may be run twice, after its first run was undone.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self, TypeVar

from mail.errors import StoreUnavailable
from mail.histogram import Histogram
from schemas.sqlite.migrations import Statements
from stores.sqlite.database_file import SqliteConfig, as_named, connect, prepare

T = TypeVar("T")
DatabaseWork = Callable[[sqlite3.Connection], T]


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A piece of work and who waits for it."""

    work: DatabaseWork[Any]
    waiter: asyncio.Future[Any]


# How long this process's transactions took, from BEGIN to the disk's answer, by file name.
COMMIT_TIMES: defaultdict[str, Histogram] = defaultdict(Histogram)

_Queue = SimpleQueue[_Job | None]  # None: no more work will come
_Outcomes = list[Any]  # a result, or the exception to raise, per job


class SqliteFile:
    """One file, open in this process. Made by `open`; every method belongs to one event loop."""

    def __init__(self, path: Path, config: SqliteConfig) -> None:
        self._path = path
        self._label = path.stem.rstrip("-0123456789")  # one for all of the index
        self._config = config
        self._closed = False
        self._served_s = 0.0  # monotonic; the last answer that was no error
        self._writes: _Queue = SimpleQueue()
        self._reads: _Queue = SimpleQueue()
        self._threads: list[threading.Thread] = []

    @classmethod
    async def open(
        cls, path: Path, migrations: tuple[Statements, ...], config: SqliteConfig
    ) -> Self:
        """Fatal: a newer version's file. StoreUnavailable: it cannot be opened."""
        file = cls(path, config)
        await asyncio.to_thread(prepare, path, migrations, config)
        await asyncio.to_thread(file._start)
        return file

    async def write(self, work: DatabaseWork[T]) -> T:
        """Run `work` in a transaction; return its result once that is on disk.

        What `work` raises undoes what it wrote, and is raised here; StoreUnavailable: the engine
        failed, and nothing of this call was written.
        """
        return await self._ask(self._writes, work)

    async def read(self, work: DatabaseWork[T]) -> T:
        """Run `work` on a read-only connection, on one snapshot of the file. StoreUnavailable."""
        return await self._ask(self._reads, work)

    async def close(self) -> None:
        """Finish what was asked, then close; later calls raise StoreUnavailable."""
        if self._closed:
            return
        self._closed = True
        writer, *readers = self._threads
        for _ in readers:
            self._reads.put(None)
        for reader in readers:
            await asyncio.to_thread(reader.join)
        self._writes.put(None)  # last, since only a writer can clear the WAL away as it closes
        await asyncio.to_thread(writer.join)

    async def _ask(self, queue: _Queue, work: DatabaseWork[T]) -> T:
        if self._closed:
            raise StoreUnavailable(self._path.stem, "closed")
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        queue.put(_Job(work, waiter))
        return await waiter

    def _start(self) -> None:
        loops = [(self._write_loop, False)] + [(self._read_loop, True)] * self._config.readers
        for number, (loop, read_only) in enumerate(loops):
            connection = connect(self._path, self._config, read_only=read_only)
            name = f"{self._path.stem}-{number}"
            thread = threading.Thread(target=loop, args=(connection,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _read_loop(self, connection: sqlite3.Connection) -> None:
        while job := self._reads.get():
            _hand_back([job], [self._named(_look(connection, job))])
        connection.close()

    def _write_loop(self, connection: sqlite3.Connection) -> None:
        while jobs := _gather(self._writes, self._config.batch_max):
            began_s = time.perf_counter()
            outcomes = _transact(connection, jobs)
            COMMIT_TIMES[self._label].seen(time.perf_counter() - began_s)
            _hand_back(jobs, [self._named(outcome) for outcome in outcomes])
        connection.close()

    def _named(self, outcome: Any) -> Any:
        if isinstance(outcome, Exception):
            return as_named(outcome, self._path, served_s=self._served_s)
        self._served_s = time.monotonic()
        return outcome


def _gather(queue: _Queue, most: int) -> list[_Job]:
    """Wait for a job, then take what else is there. Empty: no more work will come."""
    jobs: list[_Job] = []
    job = queue.get()
    while job is not None:
        jobs.append(job)
        if len(jobs) == most:
            return jobs
        try:
            job = queue.get_nowait()
        except Empty:
            return jobs
    if jobs:
        queue.put(None)  # the end, seen while gathering: to be met again
    return jobs


def _transact(connection: sqlite3.Connection, jobs: Sequence[_Job]) -> _Outcomes:
    """Run all jobs in one transaction; when one spoils it, each in a transaction of its own."""
    try:
        return _together(connection, jobs)
    except _Spoiled as spoiled:
        if len(jobs) == 1:
            return [spoiled.cause]
        return [_transact(connection, [job])[0] for job in jobs]
    except sqlite3.Error as error:
        _roll_back(connection)
        return [error] * len(jobs)


def _together(connection: sqlite3.Connection, jobs: Sequence[_Job]) -> _Outcomes:
    """A job that fails before it has written costs nothing; _Spoiled: one failed later than that.

    A savepoint per job would do too, and costs as much as the job: SQLite copies every page.
    """
    outcomes = []
    connection.execute("BEGIN IMMEDIATE")
    for job in jobs:
        changes = connection.total_changes
        outcome = _attempt(connection, job)
        if isinstance(outcome, Exception) and _left_traces(connection, outcome, changes):
            _roll_back(connection)
            raise _Spoiled(outcome)
        outcomes.append(outcome)
    connection.execute("COMMIT")
    return outcomes


def _left_traces(connection: sqlite3.Connection, error: Exception, changes: int) -> bool:
    return isinstance(error, sqlite3.Error) or connection.total_changes != changes


class _Spoiled(Exception):
    """A transaction that must not be committed, because of `cause`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


def _look(connection: sqlite3.Connection, job: _Job) -> Any:
    """Run a reading job; its statements all see the same moment."""
    try:
        connection.execute("BEGIN")
        outcome = _attempt(connection, job)
    except sqlite3.Error as error:
        outcome = error
    _roll_back(connection)
    return outcome


def _attempt(connection: sqlite3.Connection, job: _Job) -> Any:
    try:
        return job.work(connection)
    except Exception as error:  # noqa: BLE001 it is raised where the work was asked for
        _close_cursors(error)
        return error


def _close_cursors(error: BaseException | None) -> None:
    """Drop the locals of the frames that failed: a cursor among them would keep a snapshot open.

    The connection could not write again for as long as somebody holds the error.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _roll_back(connection: sqlite3.Connection) -> None:
    """SQLite has often done so itself. What stays open fails the next BEGIN, and comes again."""
    with contextlib.suppress(sqlite3.Error):
        connection.execute("ROLLBACK")


def _hand_back(jobs: Sequence[_Job], outcomes: _Outcomes) -> None:
    """Wake the waiters, all in one call into their loop; one that has ended waits no more."""
    with contextlib.suppress(RuntimeError):
        jobs[0].waiter.get_loop().call_soon_threadsafe(_settle, jobs, outcomes)


def _settle(jobs: Sequence[_Job], outcomes: _Outcomes) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        if job.waiter.done():
            continue
        if isinstance(outcome, Exception):
            job.waiter.set_exception(outcome)
        else:
            job.waiter.set_result(outcome)
