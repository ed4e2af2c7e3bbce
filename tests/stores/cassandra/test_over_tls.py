"""A cluster that runs elsewhere: TLS, an owner of the tables that is no superuser, other roles."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from cli.config.config import Config, load
from cli.doctor import external
from cli.wiring.cassandra_stores import (
    CassandraStores,
    cluster_config,
    owner_config,
)
from mail.errors import Fatal, StoreUnavailable
from stores.cassandra.directory.store import CassandraDirectory
from stores.cassandra.session import CassandraSession, ClusterConfig
from tests.support.cassandra import CassandraNode, make_owner, prepare_cluster
from tests.support.certificates import make_certificate

pytestmark = pytest.mark.distributed
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """The settings of a cluster in which an administrator made the owner of the tables."""
    folder = tmp_path_factory.mktemp("cassandra-tls")
    made = make_certificate(folder / "tls")
    node = CassandraNode(folder)
    file = folder / "password"
    file.write_text(f"{PASSWORD}\n")
    settings = load({
        "POSTRIVER_PROFILE": "distributed", "POSTRIVER_HOME": str(folder / "ours"),
        "POSTRIVER_CASSANDRA": f"cassandra://tables@127.0.0.1:{node.port}"
        f"?tls=1&ca={made.certificate}&replicas=1",
        "POSTRIVER_CASSANDRA_PASSWORD_FILE": str(file),
    })  # fmt: skip
    node.only_over_tls(made)
    with node:
        administrator = ClusterConfig(port=node.port, tls=made.trusted())
        asyncio.run(make_owner(administrator, "tables", PASSWORD))
        asyncio.run(prepare_cluster(owner_config(settings), settings.home, runs_here=False))
        yield settings


async def test_each_process_has_a_role_of_its_own(config: Config) -> None:
    async with AsyncExitStack() as stack:
        directory = await CassandraStores(cluster_config(config, "api"), stack).open(
            CassandraDirectory
        )
        assert (await directory.list_domains(limit=5)).rows == []
        session = await CassandraSession.open(cluster_config(config, "api"))
        stack.push_async_callback(session.close)
        with pytest.raises(StoreUnavailable, match="Unauthorized"):
            await session.define("DROP KEYSPACE postriver")
    assert (await external.answering(config))[0].level == "ok"


async def test_many_reads_at_once_are_answered_over_tls(config: Config) -> None:
    session = await CassandraSession.open(cluster_config(config, "api"))
    try:
        query = "SELECT release_version FROM system.local WHERE key = ?"
        rows = await asyncio.gather(*(session.read(query, "local") for _ in range(2000)))
        assert {row[0][0][0] for row in rows} == {"5"}
    finally:
        await session.close()


async def test_setup_may_be_repeated(config: Config) -> None:
    await prepare_cluster(owner_config(config), config.home, runs_here=False)


async def test_a_wrong_password_of_the_owner_ends_the_start(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("wrong")
    other = replace(config, cassandra_password_file=file)
    with pytest.raises(Fatal, match="password file"):
        await prepare_cluster(owner_config(other), config.home, runs_here=False)


@pytest.mark.parametrize("query", ["replicas=1", "tls=1"])
async def test_a_server_that_is_not_the_one_is_refused(config: Config, query: str) -> None:
    url = str(config.cassandra).partition("?")[0] + f"?{query}"
    other = load({**config.as_settings(), "POSTRIVER_CASSANDRA": url})
    with pytest.raises(StoreUnavailable):
        await CassandraSession.open(owner_config(other))
