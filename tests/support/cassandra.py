"""One Cassandra node for tests, started with the product's own configuration."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from cli.wiring.cassandra_stores import let_processes_in, migrate_tables, take_over_cluster
from stack.engines.cassandra import CassandraConfig, cassandra
from stack.state_folder import StateFolder
from stores.cassandra.session import CassandraSession, ClusterConfig
from tests.support import ROOT
from tests.support.broker import free_ports
from tests.support.engine import Engine

JARS = ROOT / ".tools" / "cassandra" / "lib"
S = TypeVar("S", bound=CassandraSession)


class CassandraNode(Engine):
    """A node on free ports."""

    def __init__(self, folder: Path) -> None:
        self.port, storage_port = free_ports(2)
        config = CassandraConfig(
            lib=JARS, port=self.port, storage_port=storage_port, heap_max_mib=768
        )
        super().__init__(cassandra(StateFolder(folder / "home"), config), folder / "out.log")


@asynccontextmanager
async def session_on(config: ClusterConfig, kind: type[S]) -> AsyncIterator[S]:
    """A session of `kind` during the block; with `in_thread` loops of tests may come and go."""
    session = await kind.open(config)
    try:
        yield session
    finally:
        await session.close()


async def prepare_cluster(owner: ClusterConfig, home: Path, *, runs_here: bool = True) -> None:
    """Make all tables and let each process sign in, with the steps of the role `setup`."""
    if runs_here:
        await take_over_cluster(owner)
    await migrate_tables(owner)
    await let_processes_in(owner, home)
