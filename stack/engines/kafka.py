"""One Kafka node in KRaft mode, on 127.0.0.1, with its log in HOME/kafka.

Every client needs a secret (SASL/PLAIN on both listeners). Each user may do only what the access
lists in the metadata allow (streams/topics/access_rules.py), except `SUPER_USERS`.

Kafka's defaults lose or repeat mail that waits long (offsets and topics expire after seven days).
Retention of a topic is set by its creator, retention of the node here.
"""

import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stack.durable_files import sync, sync_tree
from stack.engines import disk_room
from stack.engines.java import find_java, heap_options
from stack.secrets import FOLDER, secret, write_private
from stack.state_folder import StateFolder
from stack.supervision.probes import KafkaProbe
from stack.supervision.program import Program, ProgramKind, base_env

NAME = "kafka"
LOGS = "log.dirs"
MIB = 1024 * 1024
START_ROOM_BYTES = 128 * MIB  # for indexes, snapshots, and writes of other programs meanwhile
EVENT_MAX_BYTES = 2 * MIB
ITSELF = "broker"  # the node as its own client
SUPER_USERS = (ITSELF, "setup")  # setup creates topics and access lists
NEVER_MINUTES = 2**31 - 1  # the largest value Kafka takes: about 4,000 years


class KafkaMissing(Exception):
    """Jars or Java are missing, or the log folder cannot be formatted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConfig:
    """One node. `lib`: folder of the jars that stack/engines/pom.xml names."""

    lib: Path
    port: int
    controller_port: int
    java_home: Path | None = None
    heap_min_mib: int = 256
    heap_max_mib: int = 512
    retention_check_ms: int = 60_000  # between two checks for deletable segments
    users: tuple[str, ...] = ("setup",)  # users with a secret
    offsets_partitions: int = 12  # 50 by default, each opened at every start
    session_timeout_min_ms: int = 6_000
    log_level: str = "warn"
    stop_timeout_s: float = 20.0


def kafka(home: StateFolder, config: KafkaConfig) -> Program:
    """Write the configuration, format the log folder once, and return the program.

    Raises JavaMissing, KafkaMissing.
    """
    java = find_java(config.java_home)
    if not any(config.lib.glob("kafka_*.jar")):
        raise KafkaMissing(f"no Kafka in {config.lib}; `make run` fetches it")
    settings = properties(home, config)
    path = _write_properties(properties_path(home), settings)
    write_private(_logins_path(home), _logins(home, config))
    write_private(client_path(home), _client(secret(home, "setup")))
    _format_once(home, config, java, settings)
    return Program(
        name=NAME,
        kind=ProgramKind.ENGINE,
        argv=(str(java), *_options(home, config), "kafka.Kafka", str(path)),
        env=base_env(home),
        cwd=home.engine(NAME),
        not_yet=partial(no_room, home.kafka),
        ready=KafkaProbe(config.port),
        detail=f"127.0.0.1:{config.port}",
        stop_timeout_s=config.stop_timeout_s,
        unhealthy_after=24,
    )


def no_room(folder: Path) -> str | None:
    """Return why the broker must not be started on this disk now, or None.

    After a crash the broker checks its segments. A segment that it cannot check for lack of space
    is truncated to zero, the metadata segment too, and then every topic is lost. So the broker is
    never started on a full disk, which may be the cause of the crash.
    """
    return disk_room.no_room(folder, START_ROOM_BYTES)


def archive_path(lib: Path) -> Path:
    """Return the path of the class data archive; Java ignores an archive of other jars."""
    return lib.parent / "classes.jsa"


def properties(home: StateFolder, config: KafkaConfig) -> dict[str, str]:
    """Return the node's server.properties."""
    node, controller = f"127.0.0.1:{config.port}", f"127.0.0.1:{config.controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"CLIENTS://{node},CONTROLLER://{controller}",
        "advertised.listeners": f"CLIENTS://{node}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENTS",
        "listener.security.protocol.map": "CLIENTS:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": ";".join(f"User:{name}" for name in SUPER_USERS),
        LOGS: str(home.kafka / "log"),
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
        "metadata.max.idle.interval.ms": "0",  # else two synced no-op records a second
        "log.retention.check.interval.ms": str(config.retention_check_ms),
        "num.network.threads": "2",
        "num.io.threads": "4",
    }


def _options(home: StateFolder, config: KafkaConfig) -> tuple[str, ...]:
    """Return the JVM options; serial collection and the class archive halve the time to start."""
    archive = archive_path(config.lib)
    return (
        *heap_options(config.heap_min_mib, config.heap_max_mib),
        *(
            (f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off")
            if archive.exists()
            else ()
        ),
        "-Djava.awt.headless=true",
        "-Djava.net.preferIPv4Stack=true",
        f"-Djava.io.tmpdir={home.scratch(NAME)}",
        f"-Djava.security.auth.login.config={_logins_path(home)}",
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


def _logins_path(home: StateFolder) -> Path:
    return home.path / FOLDER / "broker.jaas"


def _logins(home: StateFolder, config: KafkaConfig) -> str:
    """Return the JAAS logins of each listener. Secrets are hexadecimal, names need no quoting."""
    return "".join(
        f"{listener}.KafkaServer {{\n"
        "  org.apache.kafka.common.security.plain.PlainLoginModule required\n"
        f'  username="{ITSELF}" password="{secret(home, ITSELF)}"\n'
        + "\n".join(f'  user_{name}="{secret(home, name)}"' for name in users)
        + ";\n};\n"
        for listener, users in (("clients", (ITSELF, *config.users)), ("controller", (ITSELF,)))
    )


def client_path(home: StateFolder) -> Path:
    """Return the path of --command-config for Kafka's tools, with every right."""
    return home.path / FOLDER / "client.properties"


def _client(password: str) -> str:
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    return (
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n"
        f'sasl.jaas.config={module} required username="setup" password="{password}";\n'
    )


def properties_path(home: StateFolder) -> Path:
    return home.engine(NAME) / "server.properties"


def _write_properties(path: Path, settings: dict[str, str]) -> Path:
    lines = [f"{key}={value}" for key, value in settings.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def new_cluster_id() -> str:
    """Return 16 random bytes in Kafka's form, without a leading `-` (an option to its tools)."""
    while (made := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def _format_once(
    home: StateFolder, config: KafkaConfig, java: Path, settings: dict[str, str]
) -> None:
    """Format the log folder with a cluster id; an existing id stays, since a new id orphans mail.

    Kafka does not sync these files, and cannot start from a part of them. So the folder is made
    under another name, synced as a whole, and then renamed.
    """
    folder = home.kafka / "log"
    if (folder / "meta.properties").exists():
        return
    fresh = home.kafka / "log.new"
    shutil.rmtree(fresh, ignore_errors=True)
    aside = _write_properties(
        home.engine(NAME) / "format.properties", {**settings, LOGS: str(fresh)}
    )
    run = subprocess.run(
        [
            str(java), *_options(home, config), "kafka.tools.StorageTool",
            "format", "-t", new_cluster_id(), "-c", str(aside),
        ],
        capture_output=True, text=True, check=False, env=base_env(home),
    )  # fmt: skip
    if run.returncode:
        raise KafkaMissing(f"cannot format {home.kafka}: {run.stdout[-500:]}{run.stderr[-500:]}")
    sync_tree(fresh)
    try:
        fresh.rename(folder)  # the target is missing or an empty folder
    except OSError as cause:
        raise KafkaMissing(
            f"{folder} has no meta.properties and is not empty: put that file back, or remove the "
            "folder if no topic lies there"
        ) from cause
    sync(home.kafka)
