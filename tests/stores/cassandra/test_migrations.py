"""Creation and migration of tables on a real node, by one process and by two at once."""

import asyncio
import dataclasses
import os

import pytest

from mail.errors import Fatal, StoreUnavailable
from schemas.cql.mail_store import COMMAND, MAIL, MAIL_TABLES
from stores.cassandra.migrations import migrate, planned
from stores.cassandra.session import CassandraSession, ClusterConfig
from tests.support.broker import free_ports

pytestmark = pytest.mark.distributed
_TABLES = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?"
_VERSION = "SELECT version FROM schema_version WHERE name = ?"
FIRST = (tuple(one for one in MAIL[0] if one.name in {"command", "mailbox"}),)
SECOND = (*FIRST, ("ALTER TABLE command ADD IF NOT EXISTS at_ms bigint",))
THIRD = (*SECOND, ("DROP TABLE IF EXISTS mailbox",))


async def test_two_processes_may_migrate_at_once_and_again(cluster: ClusterConfig) -> None:
    config = dataclasses.replace(cluster, keyspace=f"two_{os.getpid()}")
    one, two = await asyncio.gather(CassandraSession.open(config), CassandraSession.open(config))
    try:
        (due,) = await planned(one, {"mail": FIRST})
        assert (due.part, due.found, due.version, due.live) == ("mail", 0, 1, True)
        assert {*due.steps} == {"table command", "table mailbox"}
        done = await asyncio.gather(migrate(one, {"mail": FIRST}), migrate(two, {"mail": FIRST}))
        assert [each for changes in done for each in changes] == [due], "by one of them"
        await one.read(f"{COMMAND.put}", "ann", "c", 1, None, 1)
        await asyncio.gather(migrate(one, {"mail": SECOND}), migrate(two, {"mail": SECOND}))
        assert await migrate(one, {"mail": SECOND}) == []
        assert await two.read(_VERSION, "mail") == [(2,)]
        assert await two.read(
            "SELECT seq, at_ms FROM command WHERE user_id = 'ann' AND command_id = ?", "c"
        ) == [(1, None)]
        names = {name for (name,) in await two.read(_TABLES, config.keyspace)}
        assert names == {"command", "mailbox", "schema_version"} <= {*MAIL_TABLES, "schema_version"}
        (due,) = await planned(one, {"mail": THIRD})
        assert (due.found, due.version, due.steps, due.live) == (2, 3, THIRD[2], False)
        assert await one.read(_VERSION, "mail") == [(2,)]
        with pytest.raises(Fatal, match="version 2, this Postriver knows 1"):
            await migrate(one, {"new": FIRST, "mail": FIRST})
        assert await one.read(_VERSION, "new") == []
    finally:
        await one.define(f"DROP KEYSPACE {config.keyspace}")
        await asyncio.gather(one.close(), two.close())


async def test_a_cluster_that_does_not_answer_is_unavailable() -> None:
    (port,) = free_ports(1)
    with pytest.raises(StoreUnavailable, match="cassandra"):
        await CassandraSession.open(ClusterConfig(port=port))
