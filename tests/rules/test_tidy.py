"""House rules that no linter knows: sizes, who may import what, who may read the environment."""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from streams import topology
from tests.support import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LAYERS = tuple(SETTINGS["tool"]["importlinter"]["root_packages"])
FILE_MAX_LINES = 400
FUNCTION_MAX_LINES = 40


def under(folder: str) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.py")}


ONLY_IN = {  # a client is imported in its adapter alone, so that an engine can be changed
    "faust": {
        "streams/worker/consumer.py",
        "streams/worker/harness.py",
        "streams/worker/recovery.py",
        "streams/worker/worker.py",
        "streams/worker/mailbox_table.py",
    },
    "mode": {
        "streams/worker/harness.py",
        "streams/worker/worker.py",
        "streams/worker/mailbox_table.py",
    },
    "aiokafka": under("streams"),
    "sqlite3": under("stores/sqlite"),
    "cassandra": {
        "stores/cassandra/session.py",
        "stores/cassandra/loop_connection.py",
        "stores/cassandra/requests.py",
    },
    "obstore": {"stores/s3/objects.py"},
    "opensearchpy": {"stores/opensearch/client.py"},
    "redis": {"stores/redis/client.py"},
    "aiospamc": {"scanners/spamd.py"},
    "aiosmtpd": under("smtp/server") | {"smtp/demo_host.py"},
    "dns": {"resolving/dns_client.py", "resolving/demo_zone.py"},
    "webencodings": {"mail/mime/charsets.py"},
    "nh3": {"mail/html/sanitizer.py"},
    "argon2": {"mail/directory/passwords.py"},
}


def sources() -> list[Path]:
    return sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


@cache
def imports(path: Path) -> frozenset[str]:
    """The packages that a file imports; each file is parsed once for all clients."""
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return frozenset(found)


def test_files_and_functions_stay_short() -> None:
    long = []
    for path in sources():
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > FILE_MAX_LINES:
            long.append(f"{name_of(path)}: {lines} lines")
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_MAX_LINES:
                    long.append(f"{name_of(path)}:{node.name}: {length} lines")
    assert not long, "\n".join(long)


@pytest.mark.parametrize("client", sorted(ONLY_IN))
def test_a_client_is_imported_in_its_adapter_only(client: str) -> None:
    importers = {name_of(path) for path in sources() if client in imports(path)}
    assert importers, f"nothing imports {client}: the rule is stale"
    assert importers <= ONLY_IN[client]


def test_only_the_configuration_reads_the_environment() -> None:
    readers = set()
    for path in sources():
        for node in nodes(path):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}:
                readers.add(name_of(path))
    assert readers == {"cli/config/config.py"}


def test_every_topic_has_its_writers_and_its_reader() -> None:
    stages = {stage.name for stage in topology.STAGES}
    edges = {"ingress", "api", "msa", "pop3"}
    for topic in topology.TOPICS:
        assert topic.writers, topic.name
        assert set(topic.writers) <= stages | edges, topic.name
        assert set(topic.watchers) <= {topology.CUSTODY}, topic.name
        if topic.reader is not None:
            (reader,) = [stage for stage in topology.STAGES if stage.reads == topic.name]
            assert reader.name == topic.reader
    for stage in topology.STAGES:
        assert stage.role in topology.ROLES
        for kind in stage.emits:
            assert stage.name in topology.TOPIC_OF[kind].writers


def test_each_decision_has_a_number_of_its_own() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [page.name[:4] for page in pages]
    assert len(set(numbers)) == len(numbers) > 0, "a number stands for two decisions"
    for page, number in zip(pages, numbers, strict=True):
        assert page.read_text(encoding="utf-8").startswith(f"# {number}: "), page.name
