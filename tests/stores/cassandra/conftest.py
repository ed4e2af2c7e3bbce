"""Fixtures: one Cassandra node and one connection for all tests of this folder.

Each test has a scope of its own: the first column of every partition key gets a prefix.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest

from schemas.cql.mail_store import MAIL
from schemas.cql.small_stores import HOLDERS, QUARANTINE
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.migrations import migrate
from stores.cassandra.session import CassandraSession, ClusterConfig, Row, Statement
from tests.support.cassandra import started

_scopes = count()


class ScopedSession(CassandraSession):
    """Adds a prefix to the first column of the key in every statement of the stores."""

    scope = ""

    @classmethod
    def of(cls, connected: CassandraSession, scope: str) -> "ScopedSession":
        made = cls(connected._cluster, connected._session, connected.config)
        made._prepared = connected._prepared
        made.scope = scope
        return made

    async def read(self, cql: str, *values: Any) -> list[Row]:
        if values:
            return await super().read(cql, *self._scoped(values))
        every = await super().read(cql)
        own = (row for row in every if row[0].startswith(self.scope))
        return [(row[0].removeprefix(self.scope), *row[1:]) for row in own]

    async def read_at_once(self, cql: str, *values: Any) -> list[Row]:
        return await super().read_at_once(cql, *self._scoped(values))

    async def write(self, statements: Sequence[Statement]) -> None:
        await super().write([(cql, self._scoped(values)) for cql, values in statements])

    def _scoped(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The first text among the values is the first column of the key."""
        first = next(n for n, value in enumerate(values) if isinstance(value, str))
        return (*values[:first], self.scope + values[first], *values[first + 1 :])


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterConfig]:
    """A node of this run, or the one at the port POSTRIVER_TEST_CASSANDRA."""
    if port := os.environ.get("POSTRIVER_TEST_CASSANDRA"):
        yield ClusterConfig(port=int(port), keyspace="test")
        return
    with started(tmp_path_factory.mktemp("cassandra")) as node:
        yield ClusterConfig(port=node.port, keyspace="test")


@pytest.fixture(scope="session")
def connected(cluster: ClusterConfig) -> Iterator[CassandraSession]:
    async def connect() -> CassandraSession:
        session = await CassandraSession.open(cluster)
        await migrate(session, {"mail": MAIL, "holders": HOLDERS, "quarantine": QUARANTINE})
        return session

    session = asyncio.run(connect())
    yield session
    asyncio.run(session.close())


@pytest.fixture
def session(connected: CassandraSession) -> ScopedSession:
    return ScopedSession.of(connected, f"{os.getpid()}-{next(_scopes)}-")


@pytest.fixture
def cassandra_mail(session: ScopedSession) -> CassandraMailStore:
    return CassandraMailStore(session)
