"""Write copied rows into empty tables.

Every row is written with the timestamp 1. The tables were empty, so no deletion is older, and each
later statement has a higher timestamp, of a clock or of a seq. So a load may be repeated after any
kill, also over rows that have been changed since.
"""

from collections.abc import Iterable

from mail.errors import Fatal
from schemas.cql.content import CONTENT_PLACE, CONTENT_SEGMENT
from schemas.cql.directory import SETTING
from schemas.cql.tables import Migration
from stores.cassandra.backup.rows import CopiedRows, columns_of, tried
from stores.cassandra.backup.tables import COPIED
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.migrations import migrate, versions
from stores.cassandra.session import NO_VALUE, CassandraSession

RESTORED_AT = 1  # timestamp of restored rows
MARK = "restore"  # name of the setting that says which restore fills the tables
DONE = "done"
_MADE = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?"
_TABLES = {table.name: table for table in COPIED}


class NotEmpty(Fatal):
    """The engines have data of another installation, or of an earlier restore."""


async def first_used_table(session: CassandraSession) -> str:
    """Return the name of a table that has rows; "": there is none."""
    keyspace = session.config.keyspace
    made = {name for (name,) in await session.read(_MADE, keyspace)}
    for table in (*COPIED, CONTENT_PLACE, CONTENT_SEGMENT):
        query = f"SELECT {table.key[0]} FROM {keyspace}.{table.name} LIMIT 1"  # noqa: S608
        if table.name in made and await session.read(query):
            return table.name
    return ""


class Restored:
    """Tables that a restore fills. `restore_id`: of the restored folder, new at each restore."""

    def __init__(self, session: CassandraSession, restore_id: str) -> None:
        self._session = session
        self._id = restore_id
        self._settings: GuardedRows[str] = GuardedRows(session, SETTING, str)
        self._columns: dict[str, tuple[str, ...]] = {}

    async def make_tables(self, schemas: dict[str, tuple[Migration, ...]]) -> None:
        """Make the tables as they were when the backup was made, or leave newer tables as they are.

        Raises StoreUnavailable.
        """
        made = await versions(self._session, schemas)
        older = {name: found for name, found in schemas.items() if made[name] < len(found)}
        await migrate(self._session, older)

    async def is_begun(self) -> bool:
        """Whether this restore has begun to fill the tables."""
        return await self._settings.get(MARK) == self._id

    async def begin(self) -> None:
        """Begin to fill the tables. Raises NotEmpty: they have rows."""
        table = await first_used_table(self._session)
        if table:
            raise NotEmpty(
                f"Cassandra has rows in the table {table}: a restore begins in empty engines"
            )
        await self._settings.add(MARK, row=self._id)

    async def end(self) -> None:
        """Note that the restore is done."""
        await self._settings.change(MARK, to=lambda _: DONE)

    async def load(self, parts: Iterable[CopiedRows]) -> int:
        """Write rows; return their number. Raises Fatal: a table or column that is not known."""
        number = 0
        for part in parts:
            query = await self._query(part)
            statements = [
                (query, [*(NO_VALUE if cell is None else cell for cell in row), RESTORED_AT])
                for row in part.rows
            ]
            await tried(lambda: self._session.write(statements))  # noqa: B023
            number += len(statements)
        return number

    async def _query(self, part: CopiedRows) -> str:
        table = _TABLES.get(part.table)
        if table is None:
            raise Fatal(f"the backup has rows of a table {part.table!r}, which is not restored")
        if part.table not in self._columns:
            self._columns[part.table] = await columns_of(self._session, table)
        if not set(part.columns) <= set(self._columns[part.table]):
            raise Fatal(f"the backup has other columns of the table {part.table}")
        columns, marks = ", ".join(part.columns), ", ".join("?" * len(part.columns))
        return f"INSERT INTO {part.table} ({columns}) VALUES ({marks}) USING TIMESTAMP ?"  # noqa: S608
