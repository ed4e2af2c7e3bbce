"""Copies of SQLite files that other processes go on writing, all of one moment.

For some milliseconds we hold the write lock of every file, and begin to read each: so what is
copied afterwards is the state of one instant across all files, in which every message has its
holder. Writers wait no longer than that; while the copying lasts, their WALs grow.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mail.errors import PostriverError, Refused
from stores.sqlite.database_file import SqliteConfig, as_named, connect

_CONFIG = SqliteConfig(busy_timeout_s=30.0)  # a checkpoint on a slow disk may take its time


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """One file as it stood at the moment."""

    connection: sqlite3.Connection

    def copy_to(self, target: Path) -> int:
        """Write it to the new file `target`, check that, and tell its schema's version.

        Refused: a page of it is damaged. StoreUnavailable: no room.
        """
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        try:
            with closing(sqlite3.connect(target, isolation_level=None)) as copied:
                copied.execute("PRAGMA synchronous=OFF")  # the whole backup is synced at its end
                self.connection.backup(copied)
                copied.execute("PRAGMA journal_mode=DELETE")
                problems = [row[0] for row in copied.execute("PRAGMA quick_check(3)")]
                (version,) = copied.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            raise _named(error, target) from error
        if problems != ["ok"]:
            raise Refused(f"{target.name} is damaged: {'; '.join(problems)}")
        return int(version)


@contextmanager
def one_moment(paths: Sequence[Path]) -> Iterator[dict[Path, DatabaseView]]:
    """Every file as it stood at one instant, until the block ends. StoreUnavailable, named."""
    with ExitStack() as views:
        found: dict[Path, DatabaseView] = {}
        with ExitStack() as locks:
            for path in paths:
                lock = locks.enter_context(closing(_open(path, read_only=False)))
                _ask(lock, path, "BEGIN IMMEDIATE")
            for path in paths:
                view = views.enter_context(closing(_open(path, read_only=True)))
                _ask(view, path, "BEGIN")
                _ask(view, path, "SELECT count(*) FROM sqlite_schema")
                found[path] = DatabaseView(view)
        yield found


def _open(path: Path, *, read_only: bool) -> sqlite3.Connection:
    try:
        return connect(path, _CONFIG, read_only=read_only)
    except sqlite3.Error as error:
        raise _named(error, path) from error


def _ask(connection: sqlite3.Connection, path: Path, statement: str) -> None:
    try:
        connection.execute(statement).fetchall()
    except sqlite3.Error as error:
        raise _named(error, path) from error


def _named(error: sqlite3.Error, path: Path) -> Exception:
    named = as_named(error, path)
    return named if isinstance(named, PostriverError) else Refused(f"{path.name}: {error}")
