"""One Kafka node in KRaft mode, on 127.0.0.1, with its log in HOME/kafka.

Kafka's own defaults lose or repeat mail that waits long (offsets and topics expire after seven
days); what a topic keeps is set per topic by its creator, what the node keeps is set here.
"""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from stack.home import Home
from stack.java import find_java
from stack.probes import TcpProbe
from stack.program import Kind, Program, base_env

NAME = "kafka"
EVENT_MAX_BYTES = 2 * 1024 * 1024
NEVER_MINUTES = 2**31 - 1  # the largest value Kafka takes: about 4,000 years


class KafkaMissing(Exception):
    """Jars or Java are not there, or the log folder cannot be formatted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConfig:
    """One node. `lib`: folder of the jars that stack/pom.xml names."""

    lib: Path
    port: int
    controller_port: int
    java_home: Path | None = None
    heap_min_mib: int = 256
    heap_max_mib: int = 512
    offsets_partitions: int = 12  # 50 by default, each opened at every start
    session_timeout_min_ms: int = 6_000
    log_level: str = "warn"
    stop_timeout_s: float = 20.0


def kafka(home: Home, config: KafkaConfig) -> Program:
    """Write the configuration, format the log folder once, and tell how to start the node.

    JavaMissing; KafkaMissing.
    """
    java = find_java(config.java_home)
    if not any(config.lib.glob("kafka_*.jar")):
        raise KafkaMissing(f"no Kafka in {config.lib}; `make run` fetches it")
    properties = _write_properties(home, config)
    _format_once(home, config, java, properties)
    return Program(
        name=NAME,
        kind=Kind.ENGINE,
        argv=(str(java), *_options(home, config), "kafka.Kafka", str(properties)),
        env=base_env(home),
        cwd=home.engine(NAME),
        ready=TcpProbe(config.port),
        detail=f"127.0.0.1:{config.port}",
        stop_timeout_s=config.stop_timeout_s,
        unhealthy_after=24,
    )


def archive_path(lib: Path) -> Path:
    """Preloaded classes, made by stack/warmup.py; Java ignores it when it does not fit its jars."""
    return lib.parent / "classes.jsa"


def properties(home: Home, config: KafkaConfig) -> dict[str, str]:
    """The node's server.properties."""
    node, controller = f"127.0.0.1:{config.port}", f"127.0.0.1:{config.controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://{node},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{node}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(home.kafka / "log"),
        "auto.create.topics.enable": "false",
        "offsets.retention.minutes": str(NEVER_MINUTES),
        "offsets.topic.num.partitions": str(config.offsets_partitions),
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": str(config.session_timeout_min_ms),
        "message.max.bytes": str(EVENT_MAX_BYTES + 64 * 1024),
        "replica.fetch.max.bytes": str(EVENT_MAX_BYTES + 64 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
    }


def _options(home: Home, config: KafkaConfig) -> tuple[str, ...]:
    """JVM options; serial collection and an archive of classes halve the time to start."""
    archive = archive_path(config.lib)
    return (
        f"-Xms{config.heap_min_mib}m",
        f"-Xmx{config.heap_max_mib}m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        *(
            (f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off")
            if archive.exists()
            else ()
        ),
        "-Djava.awt.headless=true",
        "-Djava.net.preferIPv4Stack=true",
        f"-Djava.io.tmpdir={home.scratch(NAME)}",
        *_logging(config),
        "-cp",
        f"{config.lib}/*",
    )


def _logging(config: KafkaConfig) -> tuple[str, ...]:
    prefix = "-Dorg.slf4j.simpleLogger"
    return (
        f"{prefix}.defaultLogLevel={config.log_level}",
        f"{prefix}.showDateTime=true",
        f"{prefix}.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSX",
        f"{prefix}.logFile=System.out",
    )


def properties_path(home: Home) -> Path:
    return home.engine(NAME) / "server.properties"


def _write_properties(home: Home, config: KafkaConfig) -> Path:
    path = properties_path(home)
    lines = [f"{key}={value}" for key, value in properties(home, config).items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def new_cluster_id() -> str:
    """16 random bytes as Kafka writes them; one that begins with `-` would be read as an option."""
    while (made := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def _format_once(home: Home, config: KafkaConfig, java: Path, properties_path: Path) -> None:
    """Give the log folder its cluster id; one that it has is kept, a new one orphans mail."""
    if (home.kafka / "log" / "meta.properties").exists():
        return
    run = subprocess.run(
        [
            str(java), *_options(home, config), "kafka.tools.StorageTool",
            "format", "-t", new_cluster_id(), "-c", str(properties_path),
        ],
        capture_output=True, text=True, check=False, env=base_env(home),
    )  # fmt: skip
    if run.returncode:
        raise KafkaMissing(f"cannot format {home.kafka}: {run.stdout[-500:]}{run.stderr[-500:]}")
