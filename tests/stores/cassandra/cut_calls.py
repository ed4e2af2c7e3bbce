"""Calls that are cut at each of their requests, as by kill -9."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any

from stores.cassandra.session import CassandraSession, Row, Statement, WriteCheck, always_writable
from tests.stores.cassandra.conftest import ScopedSession


class Killed(BaseException):
    """The process is gone: no handler of the store runs on."""


class CutSession(ScopedSession):
    """Ends with Killed before request number `at`."""

    at = 0
    requests = 0

    async def read(self, cql: str, *values: Any) -> list[Row]:
        self.step()
        return await super().read(cql, *values)

    async def write(
        self,
        statements: Sequence[Statement],
        *,
        check: WriteCheck = always_writable,
        one_partition: bool = False,
    ) -> None:
        for part in [statements] if one_partition else [[one] for one in statements]:
            self.step()
            await super().write(part, check=check, one_partition=one_partition)

    def step(self) -> None:
        """Count a request."""
        self.requests += 1
        if self.requests == self.at:
            raise Killed


class CutWritesSession(CutSession):
    """Does not count queries: a process that ends before a query has done what was done before.

    No request is made after the process was killed.
    """

    async def read(self, cql: str, *values: Any) -> list[Row]:
        if cql.startswith("SELECT"):
            return await ScopedSession.read(self, cql, *values)
        return await super().read(cql, *values)

    def step(self) -> None:
        super().step()
        if self.at and self.requests > self.at:
            raise Killed


class Cuts:
    """One scope for each request of a call."""

    def __init__(
        self, connected: CassandraSession, scope: str, kind: type[CutSession] = CutSession
    ) -> None:
        self._connected = connected
        self._scope = scope
        self._kind = kind

    async def each(
        self,
        store: Callable[[CassandraSession], Any],
        prepare: Callable[[Any], Awaitable[Any]],
        call: Callable[[Any, Any], Awaitable[Any]],
        check: Callable[[Any, Any], Awaitable[None]],
    ) -> int:
        """Cut `call` before each of its requests, then `check` with another store.

        `call` and `check` get the store and what `prepare` returned. Returns the number of cuts.
        """
        for at in count(1):
            session = self._kind.of(self._connected, f"{self._scope}{at}-")
            first, other = store(session), store(ScopedSession.of(self._connected, session.scope))
            prepared = await prepare(first)
            session.at, session.requests = at, 0
            try:
                await call(first, prepared)
            except Killed:
                await check(other, prepared)
            else:
                await check(other, prepared)
                return at - 1
        raise AssertionError
