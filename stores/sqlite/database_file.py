"""Open, migrate and configure SQLite files, and translate SQLite's errors.

WAL with synchronous=FULL: a write is on disk when its transaction has ended. Readers of every
process then see it, and never wait for a writer.
"""

import logging
import os
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from mail.errors import Fatal, StoreUnavailable
from mail.histogram import Histogram
from schemas.sqlite.migrations import Statements

log = logging.getLogger(__name__)

_WAL_RETRY_S = 0.02  # between attempts to switch a new file to WAL
_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)


class CommitTimes:
    """Durations of one process's transactions, from BEGIN until they are on disk, by file name."""

    def __init__(self) -> None:
        self.by_file: dict[str, Histogram] = {}

    def record(self, file: str, duration_s: float) -> None:
        """Count a transaction; called from the writer thread of `file`."""
        self.by_file.setdefault(file, Histogram()).seen(duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteConfig:
    """How one process uses one file."""

    existing: bool = False  # the file must exist with the newest schema; nothing is created
    readers: int = 2  # threads, each with a read-only connection
    batch_max: int = 256  # writes in one transaction
    busy_timeout_s: float = 5.0  # wait for another process's transaction, then StoreUnavailable
    cache_kib: int = 16 * 1024  # pages in memory, per connection
    checkpoint_pages: int = 4000  # of 4 KiB: WAL grows to 16 MiB, then goes into the file
    commit_times: CommitTimes | None = field(default=None, compare=False)  # shared by all files


# Errors that may concern only the pages read, while other pages can be read.
_PAGE_ERRORS = frozenset(
    {
        sqlite3.SQLITE_IOERR_CORRUPTFS,
        sqlite3.SQLITE_IOERR_DATA,
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_IOERR_SHORT_READ,
    }
)


def translate_error(error: Exception, path: Path, *, served_s: float = 0.0) -> Exception:
    """Return StoreUnavailable for an error of the engine, any other error unchanged.

    `served_s`: when a job on the file last succeeded (monotonic).
    """
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, sqlite3.Error) and code is not None and (code & 0xFF) in _UNAVAILABLE:
        is_page_error = code & 0xFF == sqlite3.SQLITE_CORRUPT or code in _PAGE_ERRORS
        detail = f"{error} ({error.sqlite_errorname})"
        named = StoreUnavailable(path.stem, detail, served_s=served_s if is_page_error else 0.0)
        named.__cause__ = error
        return named
    return error


def prepare(path: Path, migrations: tuple[Statements, ...], config: SqliteConfig) -> int:
    """Create the file, or migrate it to the newest schema; return the version before.

    Safe while other processes do the same. With `config.existing` only check the schema: another
    process may be using an older schema.
    Raises Fatal: a newer version wrote the file. StoreUnavailable: it cannot be opened.
    """
    try:
        if config.existing:
            return _check(path, len(migrations))
        _create(path)
        with closing(connect(path, config)) as connection:
            _to_wal(connection, config)
            return _migrate(connection, path, migrations)
    except (sqlite3.Error, OSError) as error:
        raise _open_error(error, path) from error


def version_of(path: Path, newest: int) -> int:
    """Return the version of the file's schema; 0: there is no file. Changes nothing.

    Raises Fatal: the version is above `newest`. StoreUnavailable: the file cannot be opened.
    """
    if not path.exists():
        return 0
    try:
        with closing(connect(path, SqliteConfig(), read_only=True)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except (sqlite3.Error, OSError) as error:
        raise _open_error(error, path) from error
    if version > newest:
        raise _newer(path, version, newest)
    return int(version)


def connect(path: Path, config: SqliteConfig, *, read_only: bool = False) -> sqlite3.Connection:
    """Return a connection in autocommit mode, for one thread at a time. Raises sqlite3.Error."""
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=config.busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,  # opened in one thread, used in another
    )
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA cache_size=-{config.cache_kib}")
    connection.execute("PRAGMA secure_delete=ON")  # deleted content is overwritten with zeros
    connection.execute(f"PRAGMA wal_autocheckpoint={config.checkpoint_pages}")
    return connection


def _check(path: Path, newest: int) -> int:
    if not path.exists():
        raise StoreUnavailable(path.stem, f"{path} does not exist")
    version = version_of(path, newest)
    if version < newest:
        detail = f"{path} has schema {version} of {newest}: the next start of the stack migrates it"
        raise StoreUnavailable(path.stem, detail)
    return version


def _newer(path: Path, version: int, newest: int) -> Fatal:
    return Fatal(
        f"{path} has schema {version}, this program knows up to {newest}: "
        "it was written by a newer version; nothing was changed"
    )


def _create(path: Path) -> None:
    """Create the file, and so its WAL, readable by its owner only: mail is private."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _to_wal(connection: sqlite3.Connection, config: SqliteConfig) -> None:
    """Switch to WAL; retry up to the busy timeout, because SQLite does not wait for this lock."""
    deadline = time.monotonic() + config.busy_timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_WAL_RETRY_S)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path, migrations: tuple[Statements, ...]) -> int:
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise _newer(path, version, len(migrations))
    if 0 < version < len(migrations):
        text = "%s: migrating from schema %d to %d, which takes minutes if it has many rows"
        log.warning(text, path.name, version, len(migrations))
    for statement in (statement for step in migrations[version:] for statement in step):
        if isinstance(statement, str):
            connection.execute(statement)
        else:
            statement(connection)
    connection.execute(f"PRAGMA user_version={len(migrations)}")
    connection.execute("COMMIT")
    return int(version)


def _open_error(error: Exception, path: Path) -> Exception:
    return (
        StoreUnavailable(path.stem, str(error))
        if isinstance(error, OSError)
        else translate_error(error, path)
    )
