"""A session with a Cassandra cluster: prepared statements, awaited on the caller's event loop.

The sockets belong to that loop (loop_connection.py); the driver's threads connect and prepare.
Every statement is LOCAL_QUORUM, and is not tried again here: writes carry their timestamps, so that
a caller may repeat them.
"""

import asyncio
import logging
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from cassandra import (
    AuthenticationFailed,
    ConsistencyLevel,
    DriverException,
    InvalidRequest,
    OperationTimedOut,
    RequestExecutionException,
)
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.policies import DCAwareRoundRobinPolicy, FallthroughRetryPolicy, TokenAwarePolicy
from cassandra.protocol import (
    IsBootstrappingErrorMessage,
    OverloadedErrorMessage,
    PreparedQueryNotFound,
    ServerError,
)
from cassandra.query import (
    UNSET_VALUE,
    BatchStatement,
    BatchType,
    PreparedStatement,
    tuple_factory,
)

from mail.errors import StoreUnavailable
from schemas.cql.tables import Table
from stores.cassandra.loop_connection import LoopThread, connections_on
from stores.cassandra.requests import Page, Requests
from stores.write_check import WriteCheck, always_writable

# What it logs is raised too, and a refused password is a step of the first start.
logging.getLogger("cassandra").setLevel(logging.CRITICAL)

Row = tuple[Any, ...]
Statement = tuple[str, Sequence[Any]]  # CQL and its values
NO_VALUE = UNSET_VALUE  # of a cell that a statement does not write
DEFINE_TIMEOUT_S = 120.0  # a table takes a second on a busy machine
KEYS_MAX = 50  # keys of one query: each is a partition, or a row, of its own
BATCH_MAX = 100  # statements in one request
BATCH_MAX_BYTES = 40_000  # of large values; the server refuses batches above 50 KiB by default
_PROTOCOL = 4  # the driver loses the frames of version 5 when many answers come at once
_UNAVAILABLE = (
    RequestExecutionException, OperationTimedOut, NoHostAvailable, ConnectionException,
    DriverException, IsBootstrappingErrorMessage, OverloadedErrorMessage, ServerError,
)  # fmt: skip


class AccessDenied(StoreUnavailable):
    """The cluster refuses the role or its password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """Where the cluster is. `datacenter`: whose nodes are asked, and whose quorum counts."""

    port: int
    hosts: tuple[str, ...] = ("127.0.0.1",)
    user: str = "cassandra"
    password: str = field(default="cassandra", repr=False)  # that of a new cluster
    tls: ssl.SSLContext | None = None
    datacenter: str = "datacenter1"
    keyspace: str = "postriver"
    replicas: int = 1
    request_timeout_s: float = 10.0


def _is_denied(error: Exception) -> bool:
    """Whether a node refused the password. An error of the driver has its causes by node.

    It has addresses alone if a node answered the first connection and no further one.
    """
    causes = getattr(error, "errors", None)
    found = causes.values() if isinstance(causes, Mapping) else ()
    return any(isinstance(cause, AuthenticationFailed) for cause in found)


class _Place:
    """Where a query goes on: `state` of the driver; None: at its begin, then: at its end."""

    def __init__(self, state: bytes | None) -> None:
        self.state = state


class CassandraSession:
    """One session. `open` and `close` it on one loop; others may use it while that one runs."""

    def __init__(self, cluster: Any, session: Any, config: ClusterConfig, loop: LoopThread) -> None:
        self._cluster = cluster
        self._session = session
        self.config = config
        self._prepared: dict[str, PreparedStatement] = {}
        self._preparing = asyncio.Lock()
        self._loop = loop
        self._requests = Requests(session, loop)

    @classmethod
    async def open(cls, config: ClusterConfig) -> Self:
        """Connect. Raises AccessDenied; StoreUnavailable: no node answers."""
        loop = LoopThread()
        cluster = Cluster(
            list(config.hosts),
            port=config.port,
            protocol_version=_PROTOCOL,
            connection_class=connections_on(loop),
            ssl_context=config.tls,
            auth_provider=PlainTextAuthProvider(config.user, config.password),
            executor_threads=1,
            execution_profiles={EXEC_PROFILE_DEFAULT: _profile(config)},
        )
        try:
            session = await asyncio.to_thread(cluster.connect)
        except _UNAVAILABLE as error:
            await _end(cluster, loop)
            kind = AccessDenied if _is_denied(error) else StoreUnavailable
            raise kind("cassandra", str(error)) from error
        return cls(cluster, session, config, loop)

    async def close(self) -> None:
        await _end(self._cluster, self._loop)

    async def use(self, keyspace: str) -> None:
        """Use `keyspace` for statements without one. Raises StoreUnavailable: there is none."""
        try:
            await asyncio.to_thread(self._session.set_keyspace, keyspace)
        except (*_UNAVAILABLE, InvalidRequest) as error:
            raise StoreUnavailable("cassandra", str(error)) from error

    async def read(self, cql: str, *values: Any) -> list[Row]:
        """Return all rows of a query, or of one statement. Raises StoreUnavailable.

        The answer comes in pages, so the node reads one partition of the query after the other.
        """
        return await self._answer((await self._statement(cql)).bind(values))

    async def read_by_keys(self, cql: str, *values: Any, keys: Iterable[Any]) -> list[Row]:
        """All rows of a query whose last value is a list of keys, KEYS_MAX in each request.

        As `read_at_once`: for keys with few rows each.
        """
        every = list(dict.fromkeys(keys))
        parts = [every[first : first + KEYS_MAX] for first in range(0, len(every), KEYS_MAX)]
        found = await asyncio.gather(*(self.read_at_once(cql, *values, part) for part in parts))
        return [row for rows in found for row in rows]

    async def read_serial(self, cql: str, *values: Any) -> list[Row]:
        """As `read`, after every lightweight transaction that was begun before."""
        bound = (await self._statement(cql)).bind(values)
        bound.consistency_level = ConsistencyLevel.LOCAL_SERIAL
        return await self._answer(bound)

    async def read_at_once(self, cql: str, *values: Any) -> list[Row]:
        """As `read`, in one answer: the node reads the partitions of the query at the same time.

        For queries with a limit, or with few rows, which are all in memory at once.
        """
        bound = (await self._statement(cql)).bind(values)
        bound.fetch_size = None
        return await self._answer(bound)

    async def walk(self, table: Table, columns: str, *, after: str, limit: int) -> list[Row]:
        """Return at most `limit` rows of all partitions, in the order of the cluster's tokens.

        For a table whose only key column is the first of `columns`. `after`: the key of the last
        row of the page before; "": begin. A row that exists all the time is on one page.
        """
        (key,) = table.key
        behind = f" WHERE token({key}) > token(?)" if after else ""
        query = f"SELECT {columns} FROM {table.name}{behind} LIMIT ?"  # noqa: S608
        return await self._answer(
            (await self._statement(query)).bind([after] * bool(after) + [limit])
        )

    async def page(
        self, cql: str, *values: Any, rows: int, after: bytes | None
    ) -> tuple[list[Row], bytes | None]:
        """Return at most `rows` rows of a query, and where it goes on; None: nowhere.

        `after`: where the page before said that it goes on; None: begin. Without a condition the
        rows of a table come in the order of the cluster's tokens. Raises StoreUnavailable.
        """
        bound = (await self._statement(cql)).bind(values)
        bound.fetch_size = rows
        place = _Place(after)
        found = await self._answer(bound, place=place)
        return found, place.state

    async def write(
        self,
        statements: Sequence[Statement],
        *,
        check: WriteCheck = always_writable,
        one_partition: bool = False,
    ) -> None:
        """Carry the statements out, in no order. Raises StoreUnavailable: some may be done.

        `check` is called immediately before each request; its error ends the call, and other
        requests may be done. `one_partition`: all rows are in one partition, and are written in
        one mutation, at most 16 MiB by default: a read finds all of them or none.
        """
        groups = [statements] if one_partition else _groups(statements)
        batches = [await self._batch(group) for group in groups]
        await asyncio.gather(*(self._answer(batch, check=check) for batch in batches))

    async def define(self, cql: str) -> list[Row]:
        """Run a statement that is not prepared, such as one that defines a table."""
        return await self._answer(cql, limit_s=DEFINE_TIMEOUT_S)

    async def agree(self) -> None:
        """Wait until all nodes have the same schema."""
        control = self._cluster.control_connection
        await asyncio.to_thread(control.wait_for_schema_agreement)

    async def _statement(self, cql: str) -> PreparedStatement:
        statement = self._prepared.get(cql)
        if statement is None:
            async with self._preparing:
                try:
                    statement = await asyncio.to_thread(self._session.prepare, cql)
                except _UNAVAILABLE as error:
                    raise StoreUnavailable("cassandra", str(error)) from error
                self._prepared[cql] = statement
        return statement

    async def _batch(self, group: Sequence[Statement]) -> Any:
        bound = [(await self._statement(cql)).bind(values) for cql, values in group]
        if len(bound) == 1:
            return bound[0]
        batch = BatchStatement(BatchType.UNLOGGED)
        for statement in bound:
            batch.add(statement)
        return batch

    async def _answer(
        self,
        statement: Any,
        *,
        limit_s: float | None = None,
        check: WriteCheck = always_writable,
        place: _Place | None = None,
    ) -> list[Row]:
        """All rows; with `place` those of one page, which moves `place`."""
        limit_s = limit_s or self.config.request_timeout_s
        rows: list[Row] = []
        at = place.state if place else None
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    check()
                    found, at = await self._page(statement, at)
                    rows += found
                    if at is None or place is not None:
                        break
        except TimeoutError as error:
            raise StoreUnavailable("cassandra", f"no answer within {limit_s:.0f} s") from error
        except _UNAVAILABLE as error:
            raise StoreUnavailable("cassandra", str(error)) from error
        if place is not None:
            place.state = at
        return rows

    async def _page(self, statement: Any, at: bytes | None) -> Page:
        """Rows from `at` on, and where they go on.

        A node that was started again has to prepare the statement first.
        """
        if isinstance(statement, str):
            return await self._requests.by_driver(statement, at)
        try:
            return await self._requests.answer(statement, at)
        except PreparedQueryNotFound:
            return await self._requests.by_driver(statement, at)


async def _end(cluster: Any, loop: LoopThread) -> None:
    await asyncio.to_thread(cluster.shutdown)
    await loop.all_closed()


def _profile(config: ClusterConfig) -> ExecutionProfile:
    return ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(config.datacenter)),
        retry_policy=FallthroughRetryPolicy(),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=None,  # `_answer` has a time limit: the driver's costs a task each
        row_factory=tuple_factory,
    )


def _groups(statements: Iterable[Statement]) -> list[list[Statement]]:
    """Split into groups that one request may carry."""
    groups: list[list[Statement]] = []
    size = BATCH_MAX_BYTES
    for statement in statements:
        octets = sum(len(value) for value in statement[1] if isinstance(value, (bytes, str)))
        if size + octets > BATCH_MAX_BYTES or len(groups[-1]) == BATCH_MAX:
            groups.append([])
            size = 0
        groups[-1].append(statement)
        size += octets
    return groups
