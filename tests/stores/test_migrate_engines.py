"""postriver migrate on Cassandra, Kafka and OpenSearch that run elsewhere, by two hosts."""

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.wiring.cassandra_stores import schemas
from stores.cassandra.directory.store import CassandraDirectory
from stores.cassandra.roles import take_over
from stores.cassandra.session import CassandraSession, ClusterConfig
from stores.opensearch.client import OpenSearchClient, SearchClusterConfig
from streams.config import TopicsConfig
from streams.topics.admin import planned_topics
from streams.topics.scram_users import ensure_users
from streams.topology import TOPICS
from tests.support.broker import Broker, add_scram_listener
from tests.support.cassandra import CassandraNode
from tests.support.certificates import make_certificate
from tests.support.opensearch import OpenSearchNode
from tests.support.stack_world import World, folder_of

pytestmark = [pytest.mark.distributed, pytest.mark.kafka, pytest.mark.timeout(900)]
PASSWORD = "correct horse"
_TABLES = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?"


@dataclass(frozen=True)
class Engines:
    """The engines, and the settings that name them."""

    cassandra: ClusterConfig
    opensearch: SearchClusterConfig
    topics: TopicsConfig
    settings: dict[str, str]

    async def tables(self) -> list[str]:
        session = await CassandraSession.open(self.cassandra)
        try:
            return [name for (name,) in await session.read(_TABLES, self.cassandra.keyspace)]
        finally:
            await session.close()

    async def write(self, statement: str) -> None:
        session = await CassandraSession.open(self.cassandra)
        try:
            await session.define(statement)
        finally:
            await session.close()

    async def set_setting(self, name: str, value: str) -> None:
        session = await CassandraSession.open(self.cassandra)
        try:
            await session.use(self.cassandra.keyspace)
            await CassandraDirectory(session).set_setting(name, value)
        finally:
            await session.close()

    async def indices(self, *made: str) -> list[str]:
        """Make indices without a mapping; return the names of all."""
        client = OpenSearchClient.open(self.opensearch)
        try:
            for name in made:
                await client.create_index(name, {})
            return sorted(await client.aliases("postriver-*"))
        finally:
            await client.close()

    async def drop(self, name: str) -> None:
        client = OpenSearchClient.open(self.opensearch)
        await client.delete_index(name)
        await client.close()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with folder_of("engines") as top:
        yield top


@pytest.fixture(scope="module")
def engines(folder: Path) -> Iterator[Engines]:
    made = make_certificate(folder / "tls")
    broker = Broker(folder / "kafka")
    tls_port = add_scram_listener(broker, made)
    cassandra, opensearch = (
        kind(folder / kind.__name__) for kind in (CassandraNode, OpenSearchNode)
    )
    file = folder / "password"
    file.write_text(f"{PASSWORD}\n")
    for path in (file, made.certificate, folder / "tls"):
        path.chmod(0o755)
    topics = TopicsConfig(bootstrap=broker.bootstrap)
    owner = ClusterConfig(port=cassandra.port, user="tables", password=PASSWORD)
    with ExitStack() as stack:
        for engine in (broker, cassandra, opensearch):
            stack.callback(engine.stop)
        with ThreadPoolExecutor(3) as threads:
            for started in [threads.submit(one.start) for one in (broker, cassandra, opensearch)]:
                started.result()
        asyncio.run(ensure_users(topics, {"administrator": PASSWORD}))
        asyncio.run(take_over(owner))
        yield Engines(
            owner, SearchClusterConfig(port=opensearch.port), topics,
            {
                "POSTRIVER_PROFILE": "distributed",
                "POSTRIVER_CASSANDRA": f"cassandra://tables@127.0.0.1:{cassandra.port}?replicas=1",
                "POSTRIVER_CASSANDRA_PASSWORD_FILE": str(file),
                "POSTRIVER_OPENSEARCH": f"opensearch://127.0.0.1:{opensearch.port}?replicas=0",
                "POSTRIVER_KAFKA": f"kafka://administrator@127.0.0.1:{tls_port}"
                f"?tls=1&ca={made.certificate}&replicas=1",
                "POSTRIVER_KAFKA_PASSWORD_FILE": str(file),
            },
        )  # fmt: skip


@pytest.fixture
def hosts(engines: Engines) -> Iterator[list[World]]:
    """Two hosts that share the engines."""
    with ExitStack() as stack:
        tops = [stack.enter_context(folder_of("host")) for _ in range(2)]
        yield [World(top / "home", 61000, engines.settings) for top in tops]


def migrate(host: World, *more: str) -> dict[str, Any]:
    return json.loads(host.cli("migrate", "--json", *more, timeout_s=300).stdout)


def now(of: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(of)


def test_two_hosts_at_once_then_nothing_is_left_to_do(engines, hosts) -> None:
    dry = migrate(hosts[0], "--dry-run")
    assert (dry["put_off"], now(engines.tables()), now(engines.indices())) == ({}, [], [])
    due = {f"{each['engine']} {each['part']}" for each in dry["changes"][1:]}
    assert due >= {"cassandra mail", "cassandra directory", "kafka topics", "opensearch search"}

    with ThreadPoolExecutor(2) as threads:
        reports = [*threads.map(migrate, hosts)]
    done = [each for report in reports for each in report["changes"][1:]]
    assert {f"{each['engine']} {each['part']}" for each in done} == due
    made = Counter(step for each in done for step in each["steps"] if step.startswith("topic "))
    assert made == Counter(f"topic {topic.name}" for topic in TOPICS)
    assert len(now(engines.tables())) > len(schemas())
    assert now(engines.indices()) == ["postriver-progress-2-1", "postriver-search-2-1"]
    assert now(planned_topics(engines.topics)) == []
    for host in (*hosts, hosts[0]):
        report = migrate(host)
        assert (report["changes"], report["put_off"], report["error"]) == ([], {}, None)
    check_that_newer_engines_are_refused(engines, hosts[0])


def check_that_newer_engines_are_refused(engines: Engines, host: World) -> None:
    version = "UPDATE postriver.schema_version SET version = {} WHERE name = 'mail'"
    now(engines.write(version.format(99)))
    refused(host, "schema mail has version 99, this Postriver knows 1")
    now(engines.write(version.format(1)))
    now(engines.set_setting("version:topics", "99"))
    refused(host, "the topics have version 99, this Postriver knows 1")
    now(engines.set_setting("version:topics", "1"))
    now(engines.indices("postriver-search-99"))
    refused(host, "the search has version 99, this Postriver knows 2")
    now(engines.drop("postriver-search-99"))
    assert migrate(host)["changes"] == []


def refused(host: World, words: str) -> None:
    for more in ((), ("--dry-run",)):
        done = host.cli("migrate", *more, check=False, timeout_s=300)
        assert (done.returncode, words in done.stderr) == (1, True), done


def test_an_engine_that_is_away_is_named(engines, hosts) -> None:
    host = hosts[0]
    host.extra = {**engines.settings, "POSTRIVER_OPENSEARCH": "opensearch://127.0.0.1:9"}
    refused = host.cli("migrate", "--dry-run", check=False, timeout_s=300)
    assert (refused.returncode, "postriver: opensearch" in refused.stderr) == (1, True), refused
