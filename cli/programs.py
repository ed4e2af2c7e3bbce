"""The programs of one machine: engines, the set-up task, roles and edges."""

import sys
from collections.abc import Callable

from cli.config.config import Config, process_name
from cli.config.engines import S3
from stack.engines.cassandra import NAME as CASSANDRA
from stack.engines.cassandra import CassandraConfig, cassandra
from stack.engines.clamd import NAME as CLAMD
from stack.engines.clamd import ClamdConfig, clamd
from stack.engines.freshclam import FreshclamConfig, freshclam
from stack.engines.kafka import NAME as KAFKA
from stack.engines.kafka import KafkaConfig, kafka
from stack.engines.opensearch import NAME as OPENSEARCH
from stack.engines.opensearch import OpenSearchConfig, opensearch
from stack.engines.redis import NAME as REDIS
from stack.engines.redis import redis
from stack.engines.spamd import NAME as SPAMD
from stack.engines.spamd import spamd
from stack.engines.versitygw import VersityGwConfig, versitygw
from stack.state_folder import StateFolder
from stack.supervision.program import Program, ProgramKind, base_env
from streams.topics.access_rules import SETUP, USERS
from streams.topology import CUSTODY, ROLES

EDGES = ("ingress", "api", "msa", "pop3", CUSTODY)
MEMORY_MAX_BYTES = 8 * 1024**3  # address space of a role, most of it never touched


def programs(config: Config, home: StateFolder) -> list[Program]:
    """Return the programs of a stack. They start at once and wait for what they need.

    Engines stop last.
    """
    numbers = {
        "ingress": config.ingress_processes,
        "api": config.api_processes,
        "msa": config.msa_processes,
        "pop3": config.pop3_processes,
    }
    roles = [
        _process(config, home, role, number)
        for role in (*ROLES, *EDGES)
        for number in range(1, numbers.get(role, 1) + 1)
    ]
    engines = [make() for make in engine_makers(config, home).values()]
    return [*engines, *_updater(config, home), _setup(config, home), *roles]


def _waits_for(config: Config, *names: str) -> tuple[str, ...]:
    """What must have been ready before.

    `setup` alone makes the tables of Cassandra, and the users of a Kafka that runs elsewhere.
    """
    elsewhere = {name for name, _ in config.external()}
    waits = names if config.profile == "distributed" or config.kafka else ()
    return tuple(name for name in waits if name not in elsewhere)


def engine_makers(config: Config, home: StateFolder) -> dict[str, Callable[[], Program]]:
    """How to make the programs of the engines of this machine, by the engines' names.

    They are those of the profile that no setting has elsewhere.
    """
    makers: dict[str, Callable[[], Program]] = {
        KAFKA: lambda: kafka(home, kafka_config(config)),
        CLAMD: lambda: clamd(home, clamd_config(config)),
        SPAMD: lambda: spamd(home),
    }
    if config.profile == "distributed":
        makers |= {
            CASSANDRA: lambda: cassandra(home, cassandra_config(config)),
            OPENSEARCH: lambda: opensearch(home, opensearch_config(config)),
            REDIS: lambda: redis(home),
            S3: lambda: versitygw(home, versitygw_config(config)),
        }
    elsewhere = {name for name, _ in config.external()}
    return {name: make for name, make in makers.items() if name not in elsewhere}


def kafka_config(config: Config) -> KafkaConfig:
    return KafkaConfig(
        lib=config.tools / "kafka" / "lib",
        port=config.ports.kafka,
        controller_port=config.ports.controller,
        users=(SETUP, *USERS),
    )


def cassandra_config(config: Config) -> CassandraConfig:
    return CassandraConfig(
        lib=config.tools / "cassandra" / "lib",
        port=config.cassandra_port,
        storage_port=config.cassandra_storage_port,
    )


def opensearch_config(config: Config) -> OpenSearchConfig:
    return OpenSearchConfig(
        lib=config.tools / "opensearch" / "lib",
        port=config.opensearch_port,
        transport_port=config.opensearch_transport_port,
        java_home=config.opensearch_java_home,
    )


def versitygw_config(config: Config) -> VersityGwConfig:
    return VersityGwConfig(
        program=config.tools / "versitygw" / "bin" / "versitygw", port=config.s3_port
    )


def clamd_config(config: Config) -> ClamdConfig:
    return ClamdConfig(update=config.signatures == "update")


def _updater(config: Config, home: StateFolder) -> list[Program]:
    if config.signatures != "update":
        return []
    urls = tuple(url for url in config.signatures_urls.split(",") if url)
    return [
        freshclam(
            home,
            FreshclamConfig(
                mirror=config.signatures_mirror,
                urls=urls,
                checks_per_day=config.signatures_checks,
            ),
        )
    ]


def _setup(config: Config, home: StateFolder) -> Program:
    engines = (CASSANDRA, KAFKA) if config.profile == "distributed" else (KAFKA,)
    return Program(
        name=SETUP,
        kind=ProgramKind.TASK,
        argv=_argv(SETUP),
        after=_waits_for(config, *engines),
        env=base_env(home, config.as_settings()),
        memory_max_bytes=MEMORY_MAX_BYTES,
        cwd=home.path,
    )


def _process(config: Config, home: StateFolder, role: str, number: int) -> Program:
    name = process_name(role, number)
    return Program(
        name=name,
        kind=ProgramKind.ROLE,
        argv=_argv(role, number),
        after=_waits_for(config, SETUP),
        env=base_env(home, config.as_settings()),
        memory_max_bytes=MEMORY_MAX_BYTES,
        cwd=home.path,
        http=home.socket(name),
        stop_timeout_s=25.0,
        descriptors=_descriptors(config, role),
    )


def _descriptors(config: Config, role: str) -> tuple[int, ...]:
    """The listening sockets that a role inherits."""
    return {
        "ingress": config.smtp_fds,
        "api": config.http_fds,
        "msa": (*config.submission_fds, *config.submissions_fds),
        "pop3": (*config.pop3_fds, *config.pop3s_fds),
    }.get(role, ())


def _argv(role: str, number: int = 1) -> tuple[str, ...]:
    """The command of process `number` of a role."""
    numbered = () if number == 1 else ("--number", str(number))
    return (sys.executable, "-P", "-m", "cli", "role", role, *numbered)
