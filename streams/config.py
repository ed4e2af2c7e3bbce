"""Settings of the river, with units and limits; cli/ builds them from the environment."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

KIB = 1024
MIB = 1024 * KIB
CLOCK_SKEW_MAX_MS = 60_000  # allowed between the clocks of a writer and of the broker


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Where the broker listens, and who we are there. Its text holds no secret."""

    servers: str  # HOST:PORT, several separated by commas
    user: str = ""  # empty: anonymous, for a broker that asks nobody
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.servers

    @property
    def options(self) -> dict[str, Any]:
        """What every client of aiokafka is made with: SASL/PLAIN (RFC 4616) in clear."""
        options: dict[str, Any] = {"bootstrap_servers": self.servers}
        if self.user:
            options |= {
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_mechanism": "PLAIN",
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return options

    def written(self) -> str:
        """As `parse` reads it, secret included: to be handed to a process, never to be shown."""
        return f"{self.user}:{self.password}@{self.servers}" if self.user else self.servers

    @classmethod
    def parse(cls, text: str) -> Self:
        who, _, servers = text.rpartition("@")
        user, _, password = who.partition(":")
        return cls(servers, user, password)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherConfig:
    """One producer of one process."""

    bootstrap: Bootstrap
    client_id: str = "postriver"
    linger_ms: int = 5  # how long an event may wait for company
    batch_max_bytes: int = 256 * KIB  # per partition; two such batches are kept at most
    publish_limit_s: float = 10.0  # then BrokerUnavailable: in doubt
    connect_limit_s: float = 60.0  # how long `start` waits for a broker
    close_limit_s: float = 2.0  # how long `stop` waits for what is still in doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicsConfig:
    """How topics are made on this cluster."""

    bootstrap: Bootstrap
    partitions: int = 12  # divides evenly among 1, 2, 3, 4, 6 workers
    replicas: int = 1
    min_in_sync: int = 1  # acknowledgements wait for so many replicas; 2 of 3 on a cluster
    request_limit_s: float = 30.0

    @property
    def flush_each(self) -> bool:
        """One copy only: it must be on disk before it is acknowledged."""
        return self.replicas == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsConfig:
    """One worker: a process that runs the stages of one role."""

    bootstrap: Bootstrap
    worker: str  # names this process in hops and logs
    data_folder: Path  # Faust's; nothing that matters is kept there
    notes_folder: Path | None = None  # streams/worker/attempt_notes.py; None: tries are not noted
    requests_folder: Path | None = None  # events that operators want set aside
    requests_interval_s: float = 1.0
    group_prefix: str = "postriver-"
    partitions: int = 12
    commit_interval_s: float = 1.0  # upper bound on work repeated after kill -9
    session_timeout_s: float = 6.0  # until a killed worker's partitions move
    heartbeat_interval_s: float = 1.0
    rebalance_timeout_s: float = 10.0
    hold_first_s: float = 0.1  # doubles while an engine does not answer ...
    hold_cap_s: float = 5.0  # ... up to this
    unexpected_tries: int = 5  # within 60 s: 1 + 2 + 4 + 8 s between them
    unexpected_first_s: float = 1.0
    unreadable_tries: int = 10  # failures of one event beside others that its engine serves ...
    unreadable_s: float = 300.0  # ... over so long, then it is parked
    buffer_max_events: int = 512  # per partition, beyond which it is not fetched
    buffer_max_bytes: int = 8 * MIB  # per partition, likewise
    poll_max_records: int = 200
    revoke_limit_s: float = 1.0  # how long cancelled handlers may hold up a rebalance
    drain_limit_s: float = 5.0  # how long running handlers may finish at a stop
    stop_limit_s: float = 15.0  # then the process ends without a farewell to the group
    start_limit_s: float = 60.0  # without partitions for so long: ask for a restart
    stall_limit_s: float = 300.0  # a handler, or a backlog, that does not move and is not held
    lag_interval_s: float = 5.0

    def group(self, role: str) -> str:
        """The consumer group of a role."""
        return f"{self.group_prefix}{role}"
