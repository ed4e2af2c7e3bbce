"""Fixtures: one Cassandra node, one connection and one S3 server for all tests of this folder.

Each test has a scope of its own: the first column of every partition key gets a prefix.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from cli.wiring.cassandra_stores import schemas, secret_name
from schemas.cql.tables import Table
from stack.secrets import known
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.migrations import check_versions
from stores.cassandra.roles import take_over
from stores.cassandra.session import CassandraSession, ClusterConfig, Row, Statement
from stores.s3.objects import ObjectsConfig, S3Objects
from stores.write_check import WriteCheck, always_writable
from tests.support.cassandra import CassandraNode, prepare_cluster, session_on
from tests.support.in_thread import in_thread
from tests.support.versitygw import VersityGw

_scopes = count()
OWNER = "setup"  # the role that defines tables
PROCESS = "custody"  # a role with the rights of a process


class ScopedSession(CassandraSession):
    """Adds a prefix to the first column of the key in every statement of the stores."""

    scope = ""

    @classmethod
    def of(cls, connected: CassandraSession, scope: str) -> "ScopedSession":
        made = cls(connected._cluster, connected._session, connected.config, connected._loop)
        made._prepared = connected._prepared
        made.scope = scope
        return made

    async def read(self, cql: str, *values: Any) -> list[Row]:
        if values:
            return await super().read(cql, *self._scoped(values))
        every = await super().read(cql)
        return self._own(row for row in every if row[0].startswith(self.scope))

    async def read_by_keys(self, cql: str, *values: Any, keys: Iterable[Any]) -> list[Row]:
        """Without other values the keys are those of partitions; a row may begin with its key."""
        if values:
            return await super().read_by_keys(cql, *values, keys=keys)
        return self._own(await super().read_by_keys(cql, keys=keys))

    async def read_serial(self, cql: str, *values: Any) -> list[Row]:
        return await super().read_serial(cql, *self._scoped(values))

    async def read_at_once(self, cql: str, *values: Any) -> list[Row]:
        return await super().read_at_once(cql, *self._scoped(values))

    async def walk(self, table: Table, columns: str, *, after: str, limit: int) -> list[Row]:
        """Rows of this scope: the walk goes on until it has `limit` of them."""
        found: list[Row] = []
        place = self.scope + after if after else ""
        while len(found) < limit:
            rows = await super().walk(table, columns, after=place, limit=500)
            found += self._own(row for row in rows if row[0].startswith(self.scope))
            if len(rows) < 500:
                break
            place = rows[-1][0]
        return found[:limit]

    async def page(
        self, cql: str, *values: Any, rows: int, after: bytes | None
    ) -> tuple[list[Row], bytes | None]:
        """Rows of this scope, of a query without values."""
        every, place = await super().page(cql, *values, rows=rows, after=after)
        return self._own(row for row in every if row[0].startswith(self.scope)), place

    async def write(
        self,
        statements: Sequence[Statement],
        *,
        check: WriteCheck = always_writable,
        one_partition: bool = False,
    ) -> None:
        scoped = [(cql, self._scoped(values)) for cql, values in statements]
        await super().write(scoped, check=check, one_partition=one_partition)

    def _own(self, rows: Iterable[Row]) -> list[Row]:
        """The rows without the prefix in their first column."""
        return [
            (row[0].removeprefix(self.scope), *row[1:]) if isinstance(row[0], str) else row
            for row in rows
        ]

    def _scoped(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The first text among the values is the first column of the key, or texts in a list."""
        first = next((n for n, value in enumerate(values) if isinstance(value, str)), None)
        if first is None:
            (keys,) = values
            return ([self.scope + key for key in keys],)
        return (*values[:first], self.scope + values[first], *values[first + 1 :])


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterConfig]:
    """The owner of a node of this run, or of the node at the port POSTRIVER_TEST_CASSANDRA."""
    with ExitStack() as stack:
        port = int(os.environ.get("POSTRIVER_TEST_CASSANDRA") or 0)
        if not port:
            port = stack.enter_context(CassandraNode(tmp_path_factory.mktemp("cassandra"))).port
        config = ClusterConfig(port=port, user=OWNER, password="owner's", keyspace="test")
        asyncio.run(take_over(config))
        yield config


@pytest.fixture(scope="session")
def prepared(
    cluster: ClusterConfig, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], ClusterConfig]:
    """All tables and roles; the result gives the configuration of a role."""
    home = tmp_path_factory.mktemp("home")
    asyncio.run(prepare_cluster(cluster, home))

    def config(role: str) -> ClusterConfig:
        return replace(cluster, user=role, password=known(home, secret_name(role)) or "")

    return config


@pytest.fixture(scope="session")
def connected(prepared: Callable[[str], ClusterConfig]) -> Iterator[CassandraSession]:
    """A session with the rights of a process, which all contract suites use."""

    with in_thread(session_on(prepared(PROCESS), CassandraSession)) as session:
        asyncio.run(check_versions(session, schemas()))
        yield session


@pytest.fixture
def session(connected: CassandraSession) -> ScopedSession:
    return ScopedSession.of(connected, f"{os.getpid()}-{next(_scopes)}-")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectsConfig]:
    """An S3 server of this run."""
    with VersityGw(tmp_path_factory.mktemp("s3")) as server:
        yield server.objects


@pytest.fixture
def objects(server: ObjectsConfig) -> S3Objects:
    return S3Objects.open(server)


@pytest.fixture
def cassandra_mail(session: ScopedSession) -> CassandraMailStore:
    return CassandraMailStore(session)
