"""One Cassandra node, on 127.0.0.1, with its data in HOME/cassandra; for the distributed profile.

The jars come from Maven (cassandra_pom.xml). Every client needs a name and a password
(PasswordAuthenticator); there is no remote JMX. A write is answered after its commit log is synced.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stack.durable_files import make_folder
from stack.engines.cassandra_commit_log import remove_empty_segments
from stack.engines.disk_room import no_room
from stack.engines.java import FETCHED_BY, find_java, heap_options
from stack.state_folder import StateFolder
from stack.supervision.probes import CassandraProbe
from stack.supervision.program import Program, ProgramKind, base_env

NAME = "cassandra"
JAVA_VERSIONS = range(11, 18)  # Cassandra 5.0 runs on 11 and 17, and not on 21
START_ROOM_BYTES = 256 * 1024 * 1024  # for commit log segments of a start
_EXPORTS = (
    "java.base/jdk.internal.misc", "java.base/java.lang.ref", "java.base/java.lang.reflect",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server", "java.sql/java.sql", "jdk.unsupported/sun.misc",
    "jdk.attach/sun.tools.attach",
)  # fmt: skip
_OPENS = (
    "java.base/java.io", "java.base/java.lang", "java.base/java.lang.module",
    "java.base/java.lang.reflect", "java.base/java.math", "java.base/java.net",
    "java.base/java.nio", "java.base/java.util", "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic", "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math", "java.base/jdk.internal.module", "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect", "java.base/jdk.internal.util.jar", "java.base/sun.nio.ch",
    "java.rmi/sun.rmi.transport.tcp", "jdk.management/com.sun.management.internal",
)  # fmt: skip
_LOGGING = """<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{yyyy-MM-dd'T'HH:mm:ss.SSSX} %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
"""


class CassandraMissing(Exception):
    """The jars are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CassandraConfig:
    """One node. `lib`: folder of the jars that cassandra_pom.xml names."""

    lib: Path
    port: int  # of CQL clients
    storage_port: int  # of other nodes
    java_home: Path | None = None
    heap_min_mib: int = 256
    heap_max_mib: int = 1024
    direct_memory_max_mib: int = 256
    stop_timeout_s: float = 30.0


def cassandra(home: StateFolder, config: CassandraConfig) -> Program:
    """Write the configuration, and return the program. Raises JavaMissing, CassandraMissing."""
    java = find_java(config.java_home, program="Cassandra", versions=JAVA_VERSIONS)
    if not any(config.lib.glob("cassandra-all-*.jar")):
        raise CassandraMissing(f"no Cassandra in {config.lib}; {FETCHED_BY}")
    make_folder(data_path(home))
    configuration_path(home).write_text(json.dumps(settings(home, config), indent=2))
    _logging_path(home).write_text(_LOGGING)
    return Program(
        name=NAME,
        kind=ProgramKind.ENGINE,
        argv=(str(java), *_options(home, config), "org.apache.cassandra.service.CassandraDaemon"),
        env=base_env(home),
        cwd=home.engine(NAME),
        not_yet=partial(no_room, data_path(home), START_ROOM_BYTES),
        before_start=partial(remove_empty_segments, _commit_log_path(home)),
        ready=CassandraProbe(config.port),
        detail=f"127.0.0.1:{config.port}",
        stop_timeout_s=config.stop_timeout_s,
        unhealthy_after=24,
    )


def settings(home: StateFolder, config: CassandraConfig) -> dict[str, object]:
    """Return cassandra.yaml as a mapping; JSON is YAML too."""
    data = data_path(home)
    return _addresses(config) | {
        "cluster_name": "postriver",
        "num_tokens": 1,
        "initial_token": "0",
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "authenticator": "PasswordAuthenticator",
        "authorizer": "CassandraAuthorizer",
        "role_manager": "CassandraRoleManager",
        "data_file_directories": [str(data / "data")],
        "commitlog_directory": str(_commit_log_path(home)),
        "hints_directory": str(data / "hints"),
        "saved_caches_directory": str(data / "saved_caches"),
        "commitlog_sync": "batch",
        "disk_failure_policy": "die",
        "commit_failure_policy": "die",
        "auto_snapshot": False,
        "memtable_heap_space": "128MiB",
        "memtable_offheap_space": "128MiB",
        "file_cache_size": "32MiB",
        "networking_cache_size": "16MiB",
        "key_cache_size": "16MiB",
        "batch_size_warn_threshold": "64KiB",  # a step's views are one batch: 5 to 40 KiB
        "batch_size_fail_threshold": "1MiB",
        "unlogged_batch_across_partitions_warn_threshold": 200,
        "concurrent_reads": 8,
        "concurrent_writes": 16,
        "concurrent_compactors": 1,
    }


def _addresses(config: CassandraConfig) -> dict[str, object]:
    seeds = {"seeds": f"127.0.0.1:{config.storage_port}"}
    provider = "org.apache.cassandra.locator.SimpleSeedProvider"
    return {
        "seed_provider": [{"class_name": provider, "parameters": [seeds]}],
        "endpoint_snitch": "SimpleSnitch",
        "listen_address": "127.0.0.1",
        "rpc_address": "127.0.0.1",
        "native_transport_port": config.port,
        "storage_port": config.storage_port,
    }


def data_path(home: StateFolder) -> Path:
    return home.path / NAME


def _commit_log_path(home: StateFolder) -> Path:
    return data_path(home) / "commitlog"


def configuration_path(home: StateFolder) -> Path:
    return home.engine(NAME) / "cassandra.yaml"


def _logging_path(home: StateFolder) -> Path:
    return home.engine(NAME) / "logback.xml"


def _options(home: StateFolder, config: CassandraConfig) -> tuple[str, ...]:
    """Return the JVM options, with those of the jvm17 set of Cassandra's own scripts."""
    (agent,) = config.lib.glob("jamm-*.jar")
    properties = {
        "cassandra.config": configuration_path(home).as_uri(),
        "cassandra.storagedir": str(data_path(home)),
        "cassandra.logdir": str(home.engine(NAME)),
        "cassandra.skip_wait_for_gossip_to_settle": "0",
        "cassandra.ring_delay_ms": "0",
        "cassandra.superuser_setup_delay_ms": "0",
        "io.netty.tryReflectionSetAccessible": "true",
        "java.awt.headless": "true",
        "java.io.tmpdir": str(home.scratch(NAME)),
        "java.net.preferIPv4Stack": "true",
        "jdk.attach.allowAttachSelf": "true",
        "logback.configurationFile": str(_logging_path(home)),
    }
    return (
        *heap_options(config.heap_min_mib, config.heap_max_mib),
        f"-XX:MaxDirectMemorySize={config.direct_memory_max_mib}m",
        f"-javaagent:{agent}",
        *(f"-D{name}={value}" for name, value in properties.items()),
        *(f"--add-exports={package}=ALL-UNNAMED" for package in _EXPORTS),
        *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENS),
        "-cp",
        f"{config.lib}/*",
    )
