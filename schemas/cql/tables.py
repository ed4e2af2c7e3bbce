"""A CQL table as a value, and the statements that write and delete its rows.

Every statement has its timestamp as a value: in a mailbox a row is written with the seq of its step
(stores/cassandra/mail_store/stamps.py), elsewhere with a time.
"""

from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5


@dataclass(frozen=True, slots=True)
class CreateTable:
    """The definition of a table: columns, primary key, options."""

    name: str
    columns: str
    options: str

    def cql(self, keyspace: str) -> str:
        """The statement. The table's id follows from its name.

        So two nodes that are asked for it at once create the same table.
        """
        id_ = uuid5(NAMESPACE_URL, f"postriver:cql:{keyspace}:{self.name}")
        options = f" AND {self.options}" if self.options else ""
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({self.columns}) WITH id = {id_}{options}"


Migration = tuple[CreateTable | str, ...]  # each harmless if it is carried out twice


def is_additive(statement: CreateTable | str) -> bool:
    """Whether processes that do not know of `statement` may go on after it."""
    if isinstance(statement, CreateTable):
        return True
    return statement.startswith("ALTER TABLE ") and " ADD " in statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table. `partition` and `clustering` are the columns of its primary key."""

    name: str
    partition: tuple[str, ...]
    clustering: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        return self.partition + self.clustering

    @property
    def put(self) -> str:
        """The statement that writes a row; its values are those of a row, then the timestamp."""
        columns = self.key + self.values
        marks = ", ".join("?" * len(columns))
        return f"INSERT INTO {self.name} ({', '.join(columns)}) VALUES ({marks}) USING TIMESTAMP ?"  # noqa: S608

    def delete(self, columns: int | None = None) -> str:
        """The statement that deletes what has the first `columns` columns of the key; None: a row.

        Its values are the timestamp, then those columns.
        """
        has_key = " AND ".join(f"{column} = ?" for column in self.key[:columns])
        return f"DELETE FROM {self.name} USING TIMESTAMP ? WHERE {has_key}"  # noqa: S608

    def select(self, columns: str, more: str = "") -> str:
        """A query over one partition; `more` are further conditions, an order, a limit."""
        has_key = " AND ".join(f"{column} = ?" for column in self.partition)
        return f"SELECT {columns} FROM {self.name} WHERE {has_key} {more}".rstrip()  # noqa: S608

    def create(self, types: str, options: str = "") -> CreateTable:
        """The definition of the table; `types` are its columns with their types."""
        order = ", ".join((f"({', '.join(self.partition)})", *self.clustering))
        return CreateTable(self.name, f"{types}, PRIMARY KEY ({order})", options)
