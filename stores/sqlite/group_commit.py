"""SQLite off the event loop: one writer thread with group commit, and a few reader threads.

Writes that arrive during a transaction are gathered into the next transaction; each write still
fails or succeeds alone. A write may run twice, after its first run was rolled back.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self, TypeVar

from mail.errors import StoreUnavailable
from schemas.sqlite.migrations import Statements
from stores.sqlite.database_file import CommitTimes, SqliteConfig, connect, prepare, translate_error
from stores.waiters import settle

T = TypeVar("T")
DatabaseWork = Callable[[sqlite3.Connection], T]


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A read or a write, and the future of its caller."""

    work: DatabaseWork[Any]
    waiter: asyncio.Future[Any]


_Queue = SimpleQueue[_Job | None]  # None: the end of the queue
_Outcomes = list[Any]  # for each job its result, or the exception to raise


class SqliteFile:
    """One file, open in this process. Create it with `open`; for use by one event loop."""

    def __init__(self, path: Path, config: SqliteConfig) -> None:
        self._path = path
        self._label = path.stem.rstrip("-0123456789")  # the same for all buckets of the index
        self._config = config
        self._commit_times = config.commit_times or CommitTimes()
        self._closed = False
        self._served_s = 0.0  # monotonic; when a job last succeeded
        self._writes: _Queue = SimpleQueue()
        self._reads: _Queue = SimpleQueue()
        self._threads: list[threading.Thread] = []

    @classmethod
    async def open(
        cls, path: Path, migrations: tuple[Statements, ...], config: SqliteConfig
    ) -> Self:
        """Open `path`; create or migrate the file unless `config.existing`.

        Raises Fatal: a newer version wrote the file. StoreUnavailable: it cannot be opened.
        """
        file = cls(path, config)
        await asyncio.to_thread(prepare, path, migrations, config)
        await asyncio.to_thread(file._start)
        return file

    async def write(self, work: DatabaseWork[T]) -> T:
        """Run `work` in a transaction; return its result once the transaction is on disk.

        An exception of `work` rolls back what it wrote and is raised here. Raises StoreUnavailable:
        the engine failed, and nothing of this call was written.
        """
        return await self._submit(self._writes, work)

    async def read(self, work: DatabaseWork[T]) -> T:
        """Run `work` on a read-only connection, on one snapshot of the file. StoreUnavailable."""
        return await self._submit(self._reads, work)

    async def close(self) -> None:
        """Finish the jobs under way, then close; later calls raise StoreUnavailable."""
        if self._closed:
            return
        self._closed = True
        writer, *readers = self._threads
        for _ in readers:
            self._reads.put(None)
        for reader in readers:
            await asyncio.to_thread(reader.join)
        self._writes.put(None)  # last: only a writing connection can remove the WAL on close
        await asyncio.to_thread(writer.join)

    async def _submit(self, queue: _Queue, work: DatabaseWork[T]) -> T:
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
            _return_outcomes([job], [self._translate(_run_read(connection, job))])
        connection.close()

    def _write_loop(self, connection: sqlite3.Connection) -> None:
        while jobs := _gather(self._writes, self._config.batch_max):
            began_s = time.perf_counter()
            outcomes = _run_writes(connection, jobs)
            self._commit_times.record(self._label, time.perf_counter() - began_s)
            _return_outcomes(jobs, [self._translate(outcome) for outcome in outcomes])
        connection.close()

    def _translate(self, outcome: Any) -> Any:
        if isinstance(outcome, Exception):
            return translate_error(outcome, self._path, served_s=self._served_s)
        self._served_s = time.monotonic()
        return outcome


def _gather(queue: _Queue, batch_max: int) -> list[_Job]:
    """Wait for a job, then take the jobs already queued. Empty: the end of the queue."""
    jobs: list[_Job] = []
    job = queue.get()
    while job is not None:
        jobs.append(job)
        if len(jobs) == batch_max:
            return jobs
        try:
            job = queue.get_nowait()
        except Empty:
            return jobs
    if jobs:
        queue.put(None)  # the end was read while gathering: the next call reads it again
    return jobs


def _run_writes(connection: sqlite3.Connection, jobs: Sequence[_Job]) -> _Outcomes:
    """Run all jobs in one transaction; if one spoils it, run each in a transaction of its own."""
    try:
        return _run_transaction(connection, jobs)
    except _Spoiled as spoiled:
        if len(jobs) == 1:
            return [spoiled.cause]
        return [_run_writes(connection, [job])[0] for job in jobs]
    except sqlite3.Error as error:
        _roll_back(connection)
        return [error] * len(jobs)


def _run_transaction(connection: sqlite3.Connection, jobs: Sequence[_Job]) -> _Outcomes:
    """Run all jobs and commit. A job that fails before its first change leaves the others valid.

    Raises _Spoiled: a job failed after a change. A savepoint for each job would cost as much as
    the job itself, because SQLite copies every changed page.
    """
    outcomes = []
    connection.execute("BEGIN IMMEDIATE")
    for job in jobs:
        changes = connection.total_changes
        outcome = _run(connection, job)
        if isinstance(outcome, Exception) and _has_changed(connection, outcome, changes):
            _roll_back(connection)
            raise _Spoiled(outcome)
        outcomes.append(outcome)
    connection.execute("COMMIT")
    return outcomes


def _has_changed(connection: sqlite3.Connection, error: Exception, changes: int) -> bool:
    return isinstance(error, sqlite3.Error) or connection.total_changes != changes


class _Spoiled(Exception):
    """A transaction that must not be committed, because of `cause`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


def _run_read(connection: sqlite3.Connection, job: _Job) -> Any:
    """Run a read in a transaction, so that all its statements see one snapshot."""
    try:
        connection.execute("BEGIN")
        outcome = _run(connection, job)
    except sqlite3.Error as error:
        outcome = error
    _roll_back(connection)
    return outcome


def _run(connection: sqlite3.Connection, job: _Job) -> Any:
    """Return the result of the job, or the exception that it raised."""
    try:
        return job.work(connection)
    except Exception as error:  # noqa: BLE001 raised in the caller of `read` or `write`
        _close_cursors(error)
        return error


def _close_cursors(error: BaseException | None) -> None:
    """Clear the locals of the failed frames: a cursor among them would keep a snapshot open.

    The connection could not write again as long as the error object exists.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _roll_back(connection: sqlite3.Connection) -> None:
    """Roll back, unless SQLite has done so already.

    If a transaction stays open, the next BEGIN fails and this runs again.
    """
    with contextlib.suppress(sqlite3.Error):
        connection.execute("ROLLBACK")


def _return_outcomes(jobs: Sequence[_Job], outcomes: _Outcomes) -> None:
    """Settle the jobs' waiters in one call into their loop. A closed loop has no waiters."""
    waiters = [job.waiter for job in jobs]
    with contextlib.suppress(RuntimeError):
        waiters[0].get_loop().call_soon_threadsafe(settle, waiters, outcomes)
