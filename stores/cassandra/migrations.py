"""Create the keyspace and apply missing migrations; safe twice and by two processes at once.

Each statement of a migration is harmless when it is repeated, and a table's id follows from its
name, so two processes that apply one migration at the same moment leave one table. The version is
raised after the statements are carried out on every node, by a lightweight transaction.
"""

from mail.errors import Fatal, StoreUnavailable
from schemas.cql.tables import CreateTable, Migration, Table
from stores.cassandra.session import CassandraSession

_VERSION = Table(name="schema_version", partition=("name",), values=("version",))
_KEYSPACE = """CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication =
    {{'class': 'NetworkTopologyStrategy', '{datacenter}': {replicas}}}"""
_CREATE = _VERSION.create("name text, version int")
_READ = "SELECT version FROM schema_version WHERE name = ?"
_FIRST = "INSERT INTO schema_version (name, version) VALUES (?, ?) IF NOT EXISTS"
_RAISE = "UPDATE schema_version SET version = ? WHERE name = ? IF version = ?"


async def migrate(session: CassandraSession, schemas: dict[str, tuple[Migration, ...]]) -> None:
    """Bring each of `schemas`, by name, to its last version.

    Raises Fatal: a newer version wrote a schema. StoreUnavailable.
    """
    config = session.config
    await session.define(
        _KEYSPACE.format(
            keyspace=config.keyspace, datacenter=config.datacenter, replicas=config.replicas
        )
    )
    await session.use(config.keyspace)
    await _define(session, _CREATE)
    await session.agree()
    for name, migrations in schemas.items():
        await _migrate(session, name, migrations)


async def check_versions(
    session: CassandraSession, schemas: dict[str, tuple[Migration, ...]]
) -> None:
    """Use the keyspace. For processes that must not migrate what others use.

    Raises StoreUnavailable: a schema is missing or older. Fatal: a newer version wrote a schema.
    """
    try:
        await session.use(session.config.keyspace)
    except StoreUnavailable as error:
        raise StoreUnavailable("cassandra", "the start of the stack makes the tables") from error
    for name, migrations in schemas.items():
        version = await _version(session, name)
        _check(name, version, migrations)
        if version < len(migrations):
            text = f"schema {name} has version {version}, not {len(migrations)}"
            raise StoreUnavailable("cassandra", text)


async def _version(session: CassandraSession, name: str) -> int:
    rows = await session.read(_READ, name)
    return rows[0][0] if rows else 0


def _check(name: str, version: int, migrations: tuple[Migration, ...]) -> None:
    if version > len(migrations):
        raise Fatal(f"schema {name} has version {version}, this Postriver knows {len(migrations)}")


async def _migrate(session: CassandraSession, name: str, migrations: tuple[Migration, ...]) -> None:
    version = await _version(session, name)
    _check(name, version, migrations)
    for number, statements in enumerate(migrations[version:], start=version + 1):
        for statement in statements:
            await _define(session, statement)
        await session.agree()
        if number == 1:
            await session.read(_FIRST, name, 1)
        else:
            await session.read(_RAISE, number, name, number - 1)


async def _define(session: CassandraSession, statement: CreateTable | str) -> None:
    if isinstance(statement, CreateTable):
        statement = statement.cql(session.config.keyspace)
    await session.define(statement)
