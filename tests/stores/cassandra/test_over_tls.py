"""A cluster that runs elsewhere: TLS, an owner of the tables that is no superuser, other roles."""

import asyncio
import json
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
from stack.engines.cassandra import configuration_path
from stack.state_folder import StateFolder
from stack.supervision.probes import CassandraProbe
from stores.cassandra.directory.store import CassandraDirectory
from stores.cassandra.session import AccessDenied, CassandraSession, ClusterConfig
from tests.support.cassandra import CassandraNode, prepare_cluster
from tests.support.certificates import ServerCertificate, make_certificate

pytestmark = pytest.mark.distributed
PASSWORD = "correct horse"
OWNER = (
    f"CREATE ROLE tables WITH PASSWORD = '{PASSWORD}' AND LOGIN = true",
    "GRANT CREATE ON ALL KEYSPACES TO tables",
    "GRANT CREATE ON ALL ROLES TO tables",
)


def _with_tls(node: CassandraNode, home: StateFolder, made: ServerCertificate) -> None:
    path = configuration_path(home)
    factory = "org.apache.cassandra.security.PEMBasedSslContextFactory"
    settings = json.loads(path.read_text()) | {
        "client_encryption_options": {
            "enabled": True, "optional": False, "require_client_auth": False,
            "keystore": str(made.both), "truststore": str(made.certificate),
            "ssl_context_factory": {"class_name": factory, "parameters": {}},
        }
    }  # fmt: skip
    path.write_text(json.dumps(settings))


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
    assert settings.cassandra is not None
    tls = settings.cassandra.ssl_context()
    node.program = replace(node.program, ready=CassandraProbe(node.port, tls=tls))
    _with_tls(node, StateFolder(folder / "home"), made)
    with node:
        asyncio.run(_make_owner(ClusterConfig(port=node.port, tls=tls)))
        asyncio.run(prepare_cluster(owner_config(settings), settings.home, runs_here=False))
        yield settings


async def _make_owner(administrator: ClusterConfig) -> None:
    session = await _first_session(administrator)
    try:
        for statement in OWNER:
            await session.define(statement)
    finally:
        await session.close()


async def _first_session(administrator: ClusterConfig) -> CassandraSession:
    """A new node answers before it has made its first role."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await CassandraSession.open(administrator)
            except AccessDenied:
                await asyncio.sleep(0.5)


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
