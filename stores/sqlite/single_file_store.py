"""Base class of the adapters that keep their rows in one SQLite file.

A port method that only runs one statement function is declared, not written:

    state = reads(journal_and_rows.state)
    commit = writes(journal_and_rows.write)

The method has the parameters and the result of the statement function, without its connection.
"""

from collections.abc import Callable, Coroutine
from pathlib import Path
from sqlite3 import Connection
from typing import Any, ClassVar, Concatenate, ParamSpec, Protocol, Self, TypeVar

from schemas.sqlite.migrations import Statements
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.group_commit import SqliteFile

P = ParamSpec("P")
T = TypeVar("T")


class SingleFileStore:
    """An adapter over one SQLite file of the schema `migrations`. Create it with `open`."""

    migrations: ClassVar[tuple[Statements, ...]]
    default_config: ClassVar[SqliteConfig] = SqliteConfig()

    def __init__(self, file: SqliteFile) -> None:
        self.file = file

    @classmethod
    async def open(cls, path: Path, config: SqliteConfig | None = None) -> Self:
        """Open `path`; create or migrate the file unless `config.existing`.

        Raises Fatal: a newer version wrote the file. StoreUnavailable: it cannot be opened.
        """
        config = config or cls.default_config
        return cls(await SqliteFile.open(path, cls.migrations, config))

    async def close(self) -> None:
        """Finish the calls under way, then close; later calls raise StoreUnavailable."""
        await self.file.close()


class HasFile(Protocol):
    """An adapter whose rows are in `file`."""

    file: SqliteFile


_Method = Callable[Concatenate[HasFile, P], Coroutine[Any, Any, T]]


def reads(statement: Callable[Concatenate[Connection, P], T]) -> _Method[P, T]:
    """Make a method that runs `statement` on one snapshot of the file."""

    async def method(store: HasFile, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await store.file.read(lambda connection: statement(connection, *args, **kwargs))

    return method


def writes(statement: Callable[Concatenate[Connection, P], T]) -> _Method[P, T]:
    """Make a method that runs `statement` in a transaction and returns once that is on disk.

    `statement` may run twice, after its first run was rolled back, so no argument may be an
    iterator.
    """

    async def method(store: HasFile, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await store.file.write(lambda connection: statement(connection, *args, **kwargs))

    return method
