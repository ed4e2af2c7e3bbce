"""Copy several SQLite files as of one moment, while other processes write them.

`consistent_snapshots` takes the write lock of every file, begins a read transaction on each, and
releases the locks after some milliseconds. The copies made from these transactions show one moment
across all files, so a row in one file has its related row in another file. Writers wait only while
the locks are held; their WALs grow until the copies are made.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mail.errors import PostriverError, Refused
from stores.sqlite.database_file import SqliteConfig, connect, translate_error

_CONFIG = SqliteConfig(busy_timeout_s=30.0)  # a checkpoint on a slow disk takes long


@dataclass(frozen=True, slots=True)
class DatabaseSnapshot:
    """A read transaction on one file."""

    connection: sqlite3.Connection

    def copy_to(self, target: Path) -> int:
        """Copy the database to the new file `target`, check the copy, return its schema version.

        Raises Refused: a page is damaged. StoreUnavailable: the disk is full.
        """
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        try:
            with closing(sqlite3.connect(target, isolation_level=None)) as copy:
                copy.execute("PRAGMA synchronous=OFF")  # the caller syncs the whole backup
                self.connection.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")
                problems = [row[0] for row in copy.execute("PRAGMA quick_check(3)")]
                (version,) = copy.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            raise _translate(error, target) from error
        if problems != ["ok"]:
            raise Refused(f"{target.name} is damaged: {'; '.join(problems)}")
        return int(version)


@contextmanager
def consistent_snapshots(paths: Sequence[Path]) -> Iterator[dict[Path, DatabaseSnapshot]]:
    """Open every file as of one moment, until the block ends. Raises StoreUnavailable."""
    with ExitStack() as snapshots:
        snapshots_by_path: dict[Path, DatabaseSnapshot] = {}
        with ExitStack() as locks:
            for path in paths:
                lock = locks.enter_context(closing(_open(path, read_only=False)))
                _execute(lock, path, "BEGIN IMMEDIATE")
            for path in paths:
                snapshot = snapshots.enter_context(closing(_open(path, read_only=True)))
                _execute(snapshot, path, "BEGIN")
                _execute(snapshot, path, "SELECT count(*) FROM sqlite_schema")
                snapshots_by_path[path] = DatabaseSnapshot(snapshot)
        yield snapshots_by_path


def _open(path: Path, *, read_only: bool) -> sqlite3.Connection:
    try:
        return connect(path, _CONFIG, read_only=read_only)
    except sqlite3.Error as error:
        raise _translate(error, path) from error


def _execute(connection: sqlite3.Connection, path: Path, statement: str) -> None:
    try:
        connection.execute(statement).fetchall()
    except sqlite3.Error as error:
        raise _translate(error, path) from error


def _translate(error: sqlite3.Error, path: Path) -> Exception:
    translated = translate_error(error, path)
    is_ours = isinstance(translated, PostriverError)
    return translated if is_ours else Refused(f"{path.name}: {error}")
