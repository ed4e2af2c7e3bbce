"""Base class of the adapters: a session whose keyspace has the tables of the adapter."""

from typing import ClassVar, Self

from schemas.cql.tables import Migration
from stores.cassandra.migrations import migrate
from stores.cassandra.session import CassandraSession, ClusterConfig


class CassandraStore:
    """An adapter over a session. Create it with `open`; `close` it."""

    schemas: ClassVar[dict[str, tuple[Migration, ...]]]

    def __init__(self, session: CassandraSession) -> None:
        self._session = session

    @classmethod
    async def open(cls, config: ClusterConfig) -> Self:
        """Connect; create or migrate the tables. Raises Fatal, StoreUnavailable."""
        session = await CassandraSession.open(config)
        try:
            await migrate(session, cls.schemas)
        except BaseException:
            await session.close()
            raise
        return cls(session)

    async def close(self) -> None:
        await self._session.close()
