"""Adapters of the distributed profile on Cassandra: all stores of a process share one session."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from cli.config.config import Config
from cli.config.engine_url import EngineUrl
from cli.config.engines import CASSANDRA
from mail.errors import Fatal
from schemas.cql.tables import Migration
from schemas.versions.change import SchemaChange
from stack.secrets import secret
from stack.state_folder import StateFolder
from stores.cassandra.base import CassandraStore
from stores.cassandra.content_store import CassandraContentStore
from stores.cassandra.directory.store import CassandraDirectory
from stores.cassandra.holders import CassandraHolders
from stores.cassandra.ledger import CassandraLedger
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.migrations import check_versions, migrate, planned
from stores.cassandra.outline_store import CassandraOutlineStore
from stores.cassandra.quarantine import CassandraQuarantine
from stores.cassandra.relay_queue import CassandraRelayQueue
from stores.cassandra.roles import grant_access, take_over
from stores.cassandra.session import AccessDenied, CassandraSession, ClusterConfig
from stores.cassandra.submissions import CassandraSubmissions
from stores.cassandra.uploads import CassandraUploads
from streams.topics.access_rules import USERS

STORES: tuple[type[CassandraStore], ...] = (
    CassandraMailStore, CassandraDirectory, CassandraSubmissions, CassandraRelayQueue,
    CassandraLedger, CassandraQuarantine, CassandraHolders, CassandraOutlineStore,
    CassandraUploads,
)  # fmt: skip
OWNER = "setup"  # the role that defines tables of a cluster that runs here
REPLICAS = 3  # of a cluster that runs elsewhere
S = TypeVar("S", bound=CassandraStore)


def schemas() -> dict[str, tuple[Migration, ...]]:
    """All schemas by name; contents need an S3 server too, so their store is not opened here."""
    stores: tuple[type[CassandraStore], ...] = (*STORES, CassandraContentStore)
    return {name: found for store in stores for name, found in store.schemas.items()}


def cluster_config(config: Config, role: str) -> ClusterConfig:
    """The cluster, and `role` with its secret, which is made at its first use. Raises OSError."""
    home, url = StateFolder(config.home), config.cassandra
    own = ClusterConfig(
        port=config.cassandra_port, user=role, password=secret(home, secret_name(role))
    )
    return own if url is None else elsewhere(own, url)


def owner_config(config: Config) -> ClusterConfig:
    """The cluster, and the role that owns the tables. Raises BadSetting, OSError."""
    url = config.cassandra
    if url is None:
        return cluster_config(config, OWNER)
    own = ClusterConfig(port=url.port, user=url.user, password=config.password_of(CASSANDRA))
    return elsewhere(own, url)


def elsewhere(own: ClusterConfig, url: EngineUrl) -> ClusterConfig:
    """`own` with the cluster of the URL. Raises OSError: its certificates cannot be read."""
    return replace(
        own,
        hosts=url.hosts,
        port=url.port,
        tls=url.ssl_context(),
        datacenter=url.word("datacenter", own.datacenter),
        replicas=url.number("replicas", REPLICAS),
    )


def secret_name(role: str) -> str:
    """The file of a role's secret in HOME/secrets; Kafka's secrets have the bare names."""
    return f"cassandra-{role}"


def config_of(config: Config) -> ClusterConfig:
    """The cluster, and the role of this process: `setup` owns the tables. Raises as the others."""
    return owner_config(config) if config.user == OWNER else cluster_config(config, config.user)


async def take_over_cluster(owner: ClusterConfig) -> None:
    """Let the owner be the only superuser of a cluster that runs here. Raises as `take_over`."""
    try:
        await take_over(owner)
    except AccessDenied as error:
        raise _refused(owner) from error


async def planned_tables(owner: ClusterConfig) -> list[SchemaChange]:
    """Return what `migrate_tables` would do; change nothing. Raises as it does."""
    async with owner_session(owner) as session:
        return await planned(session, schemas())


async def migrate_tables(owner: ClusterConfig) -> list[SchemaChange]:
    """Create or migrate all tables; return what this process did.

    Raises Fatal: the cluster refuses the owner, or has newer tables. StoreUnavailable.
    """
    async with owner_session(owner) as session:
        return await migrate(session, schemas())


@asynccontextmanager
async def owned_directory(owner: ClusterConfig) -> AsyncIterator[CassandraDirectory]:
    """The directory, opened by the owner of the tables; needs no state folder."""
    async with owner_session(owner) as session:
        await check_versions(session, CassandraDirectory.schemas)
        yield CassandraDirectory(session)


async def let_processes_in(owner: ClusterConfig, home: Path) -> None:
    """Make the role of each process, with its secret of `home`. Raises OSError too."""
    folder = StateFolder(home)
    passwords = {role: secret(folder, secret_name(role)) for role in USERS}
    async with owner_session(owner) as session:
        await grant_access(session, passwords)


@asynccontextmanager
async def owner_session(owner: ClusterConfig) -> AsyncIterator[CassandraSession]:
    """A session of the role that owns the tables. Raises Fatal: the cluster refuses it."""
    try:
        session = await CassandraSession.open(owner)
    except AccessDenied as error:
        raise _refused(owner) from error
    try:
        yield session
    finally:
        await session.close()


def _refused(owner: ClusterConfig) -> Fatal:
    name = secret_name(owner.user)
    do = f"restore secrets/{name}" if owner.user == OWNER else "see its password file"
    return Fatal(f"Cassandra refuses the role {owner.user}: {do}")


class CassandraStores:
    """Opens stores over one session, on tables that `migrate_tables` made.

    A schema that is missing or older raises StoreUnavailable: a process never migrates what
    processes of another version use. `stack` closes the session.
    """

    def __init__(self, config: ClusterConfig, stack: AsyncExitStack) -> None:
        self._config = config
        self._stack = stack
        self._opening = asyncio.Lock()
        self._session: CassandraSession | None = None

    async def open(self, store: type[S]) -> S:
        return store(await self.session_for(store))

    async def session_for(self, store: type[CassandraStore]) -> CassandraSession:
        """The session, whose keyspace has the tables of `store`."""
        async with self._opening:
            if self._session is None:
                self._session = await CassandraSession.open(self._config)
                self._stack.push_async_callback(self._session.close)
            await check_versions(self._session, store.schemas)
            return self._session
