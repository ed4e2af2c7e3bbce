"""A session that stops before a chosen request, as a process that is stopped there."""

import asyncio
from collections.abc import Sequence
from typing import Any

from stores.cassandra.session import Row, Statement
from stores.write_check import WriteCheck, always_writable
from tests.stores.cassandra.conftest import ScopedSession


class PausedSession(ScopedSession):
    """Stops before request number `at` until `go_on` is set."""

    at = -1
    requests = 0
    writes = 0  # that were sent

    def arm(self, at: int) -> None:
        self.at, self.requests = at, 0
        self.is_paused, self.go_on = asyncio.Event(), asyncio.Event()

    async def until_paused(self, work: asyncio.Task[Any]) -> None:
        """Return when the session has stopped, or when `work`, which uses it, has ended."""
        pause = asyncio.create_task(self.is_paused.wait())
        await asyncio.wait([work, pause], return_when=asyncio.FIRST_COMPLETED)
        pause.cancel()

    async def read(self, cql: str, *values: Any) -> list[Row]:
        await self._step()
        return await super().read(cql, *values)

    async def write(
        self,
        statements: Sequence[Statement],
        *,
        check: WriteCheck = always_writable,
        one_partition: bool = False,
    ) -> None:
        await self._step()
        await super().write(statements, check=check, one_partition=one_partition)
        self.writes += 1

    async def _step(self) -> None:
        self.requests += 1
        if self.requests == self.at:
            self.is_paused.set()
            await self.go_on.wait()
