"""A session goes on when the node has forgotten its statements."""

from collections.abc import Callable

import pytest

from mail.errors import StoreUnavailable
from stores.cassandra.session import CassandraSession, ClusterConfig

pytestmark = pytest.mark.distributed
PUT = "INSERT INTO forgotten (name, number) VALUES (?, ?)"
GET = "SELECT number FROM forgotten WHERE name = ?"


async def test_statements_of_a_table_that_was_altered_are_prepared_again(
    cluster: ClusterConfig, prepared: Callable[[str], ClusterConfig]
) -> None:
    del prepared  # the keyspace
    session = await CassandraSession.open(cluster)
    try:
        await session.use(cluster.keyspace)
        await session.define("CREATE TABLE forgotten (name text PRIMARY KEY, number int)")
        await session.write([(PUT, ("a", 1)), (PUT, ("b", 2))])
        assert await session.read(GET, "a") == [(1,)]
        await session.define("ALTER TABLE forgotten ADD other int")
        assert await session.read(GET, "a") == [(1,)]
        await session.define("ALTER TABLE forgotten ADD another int")
        await session.write([(PUT, ("a", 3)), (PUT, ("b", 4))])
        assert await session.read(GET, "a") == [(3,)]
        await session.define("DROP TABLE forgotten")
        with pytest.raises(StoreUnavailable):
            await session.read(GET, "a")
    finally:
        await session.close()
