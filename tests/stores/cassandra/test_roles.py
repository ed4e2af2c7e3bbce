"""Roles of the cluster, and the adapters of a process over one session."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from cli.wiring.cassandra_stores import STORES, CassandraStores
from mail.errors import StoreUnavailable
from stores.cassandra.directory.store import CassandraDirectory
from stores.cassandra.roles import FIRST, take_over
from stores.cassandra.session import AccessDenied, CassandraSession, ClusterConfig
from tests.stores.cassandra.conftest import PROCESS

pytestmark = pytest.mark.distributed
Configured = Callable[[str], ClusterConfig]


async def test_the_role_of_a_new_cluster_cannot_sign_in(
    cluster: ClusterConfig, prepared: Configured
) -> None:
    for password in (FIRST, "", "guessed"):
        with pytest.raises(AccessDenied):
            await CassandraSession.open(replace(cluster, user=FIRST, password=password))
    with pytest.raises(AccessDenied):
        await take_over(replace(cluster, password="of another installation"), first_role_wait_s=0)
    await take_over(cluster)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE other (id text PRIMARY KEY)",
        "DROP TABLE mailbox",
        "SELECT salted_hash FROM system_auth.roles",
        "ALTER ROLE setup WITH PASSWORD = 'x'",
        "CREATE ROLE other",
    ],
)
async def test_a_process_reads_and_writes_rows_and_nothing_else(
    connected: CassandraSession, statement: str
) -> None:
    with pytest.raises(StoreUnavailable, match="Unauthorized"):
        await connected.define(statement)


async def test_the_stores_of_a_process_share_a_session(prepared: Configured) -> None:
    async with AsyncExitStack() as stack:
        stores = CassandraStores(prepared(PROCESS), stack)
        opened = [await stores.open(each) for each in STORES]
        assert len({id(store._session) for store in opened}) == 1


async def test_a_process_makes_no_tables(prepared: Configured) -> None:
    async with AsyncExitStack() as stack:
        empty = replace(prepared(PROCESS), keyspace="nothing_here")
        with pytest.raises(StoreUnavailable, match="start of the stack"):
            await CassandraStores(empty, stack).open(CassandraDirectory)
