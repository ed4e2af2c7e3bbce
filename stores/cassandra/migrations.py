"""Create the keyspace and apply missing migrations; safe twice and by two processes at once.

Each statement of a migration is harmless when it is repeated, and a table's id follows from its
name, so two processes that apply one migration at the same moment leave one table. The version is
raised after the statements are carried out on every node, by a lightweight transaction.
"""

from collections.abc import Iterable

from mail.errors import Fatal, StoreUnavailable
from schemas.cql.tables import CreateTable, Migration, Table, is_additive
from schemas.versions.change import SchemaChange
from stores.cassandra.session import CassandraSession

_VERSION = Table(name="schema_version", partition=("name",), values=("version",))
_KEYSPACE = """CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication =
    {{'class': 'NetworkTopologyStrategy', '{datacenter}': {replicas}}}"""
_EXISTS = """SELECT table_name FROM system_schema.tables
    WHERE keyspace_name = ? AND table_name = ?"""
_CREATE = _VERSION.create("name text, version int")
_READ = "SELECT version FROM schema_version WHERE name = ?"
_FIRST = "INSERT INTO schema_version (name, version) VALUES (?, ?) IF NOT EXISTS"
_RAISE = "UPDATE schema_version SET version = ? WHERE name = ? IF version = ?"


async def planned(
    session: CassandraSession, schemas: dict[str, tuple[Migration, ...]]
) -> list[SchemaChange]:
    """Return what `migrate` would do; change nothing. Raises as `migrate`."""
    found = await versions(session, schemas)
    for name, version in found.items():
        _check(name, version, schemas[name])
    return [
        _change(name, version, schemas[name])
        for name, version in found.items()
        if version < len(schemas[name])
    ]


async def versions(session: CassandraSession, names: Iterable[str]) -> dict[str, int]:
    """Return the versions of schemas, and use the keyspace if there is one; 0: there is none."""
    if not await session.read(_EXISTS, session.config.keyspace, _VERSION.name):
        return dict.fromkeys(names, 0)
    await session.use(session.config.keyspace)
    return {name: await _version(session, name) for name in names}


async def migrate(
    session: CassandraSession, schemas: dict[str, tuple[Migration, ...]]
) -> list[SchemaChange]:
    """Bring each of `schemas`, by name, to its last version; return what this process did.

    Raises Fatal: a newer version wrote a schema; nothing is changed. StoreUnavailable.
    """
    due = await planned(session, schemas)
    config = session.config
    if due:
        await session.define(
            _KEYSPACE.format(
                keyspace=config.keyspace, datacenter=config.datacenter, replicas=config.replicas
            )
        )
        await session.use(config.keyspace)
        await _define(session, _CREATE)
        await session.agree()
    return [each for each in due if await _migrate(session, each, schemas[each.part])]


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


def _change(name: str, version: int, migrations: tuple[Migration, ...]) -> SchemaChange:
    statements = [statement for step in migrations[version:] for statement in step]
    return SchemaChange(
        engine="cassandra",
        part=name,
        found=version,
        version=len(migrations),
        steps=tuple(each if isinstance(each, str) else f"table {each.name}" for each in statements),
        live=all(map(is_additive, statements)),
    )


async def _migrate(
    session: CassandraSession, change: SchemaChange, migrations: tuple[Migration, ...]
) -> bool:
    """Carry out what is missing; return whether this process raised the version."""
    name, is_ours = change.part, False
    for number, statements in enumerate(migrations[change.found :], start=change.found + 1):
        for statement in statements:
            await _define(session, statement)
        await session.agree()
        if number == 1:
            ((is_raised, *_),) = await session.read(_FIRST, name, 1)
        else:
            ((is_raised, *_),) = await session.read(_RAISE, number, name, number - 1)
        is_ours |= is_raised
    return is_ours


async def _define(session: CassandraSession, statement: CreateTable | str) -> None:
    if isinstance(statement, CreateTable):
        statement = statement.cql(session.config.keyspace)
    await session.define(statement)
