"""One Cassandra node for tests, started with the product's own configuration."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from cli.wiring.cassandra_stores import let_processes_in, migrate_tables, take_over_cluster
from stack.engines.cassandra import CassandraConfig, cassandra, configuration_path
from stack.state_folder import StateFolder
from stack.supervision.probes import CassandraProbe
from stores.cassandra.session import AccessDenied, CassandraSession, ClusterConfig
from tests.support import ROOT
from tests.support.broker import free_ports
from tests.support.certificates import ServerCertificate
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
        self._home = StateFolder(folder / "home")
        super().__init__(cassandra(self._home, config), folder / "out.log")

    def only_over_tls(self, made: ServerCertificate) -> None:
        """Let the next start refuse clients without TLS."""
        path = configuration_path(self._home)
        factory = "org.apache.cassandra.security.PEMBasedSslContextFactory"
        settings = json.loads(path.read_text()) | {
            "client_encryption_options": {
                "enabled": True, "optional": False, "require_client_auth": False,
                "keystore": str(made.both), "truststore": str(made.certificate),
                "ssl_context_factory": {"class_name": factory, "parameters": {}},
            }
        }  # fmt: skip
        path.write_text(json.dumps(settings))
        ready = CassandraProbe(self.port, tls=made.trusted())
        self.program = replace(self.program, ready=ready)


async def make_owner(administrator: ClusterConfig, user: str, password: str) -> None:
    """Make the user of a URL with the rights that it needs and no more, as an administrator."""
    session = await _first_session(administrator)
    try:
        await session.define(f"CREATE ROLE {user} WITH PASSWORD = '{password}' AND LOGIN = true")
        await session.define(f"GRANT CREATE ON ALL KEYSPACES TO {user}")
        await session.define(f"GRANT CREATE ON ALL ROLES TO {user}")
    finally:
        await session.close()


async def _first_session(administrator: ClusterConfig) -> CassandraSession:
    """A new node answers before it has made its first role."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await CassandraSession.open(administrator)
            except AccessDenied:
                await asyncio.sleep(0.5)


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
