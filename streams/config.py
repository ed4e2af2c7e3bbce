"""Settings of publishers, topics and workers, with units and limits; cli/ sets them."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

KIB = 1024
MIB = 1024 * KIB
CLOCK_SKEW_MAX_MS = 60_000  # allowed between the clocks of a writer and of the broker


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Address of the broker, and the user to connect as. `str()` omits the password."""

    servers: str  # HOST:PORT, several separated by commas
    user: str = ""  # empty: a broker without authentication
    password: str = field(default="", repr=False)
    mechanism: str = "PLAIN"  # of SASL: PLAIN (RFC 4616), SCRAM-SHA-512 (RFC 5802)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.servers

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of every aiokafka client."""
        options: dict[str, Any] = {"bootstrap_servers": self.servers}
        if self.user:
            options |= {
                "security_protocol": "SASL_PLAINTEXT" if self.tls is None else "SASL_SSL",
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
                "ssl_context": self.tls,
            }
        return options

    def written(self) -> str:
        """Return the text that `parse` reads, of a broker with SASL/PLAIN and without TLS.

        It contains the password: never display it.
        """
        return f"{self.user}:{self.password}@{self.servers}" if self.user else self.servers

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read [USER:PASSWORD@]SERVERS."""
        login, _, servers = text.rpartition("@")
        user, _, password = login.partition(":")
        return cls(servers, user, password)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherConfig:
    """Settings of a process's producer."""

    bootstrap: Bootstrap
    client_id: str = "postriver"
    linger_ms: int = 5  # how long an event may wait for others of its batch
    batch_max_bytes: int = 256 * KIB  # per partition; at most two such batches are kept
    publish_limit_s: float = 10.0  # then BrokerUnavailable: in doubt
    connect_limit_s: float = 60.0  # how long `start` waits for a broker
    close_limit_s: float = 2.0  # how long `stop` waits for events in doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicsConfig:
    """How topics are created on this cluster."""

    bootstrap: Bootstrap
    partitions: int = 12  # divides evenly among 1, 2, 3, 4, 6 workers
    replicas: int = 1
    min_in_sync: int = 1  # replicas that an acknowledgement waits for; 2 of 3 on a cluster
    request_limit_s: float = 30.0

    @property
    def flush_each(self) -> bool:
        """Whether a record must be on disk before it is acknowledged: it has one replica only."""
        return self.replicas == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsConfig:
    """Settings of one worker, a process that runs the stages of one role."""

    bootstrap: Bootstrap
    worker: str  # name of the process in hops and logs
    data_folder: Path  # of Faust; its loss is harmless
    notes_folder: Path | None = (
        None  # streams/worker/attempt_notes.py; None: attempts are not noted
    )
    requests_folder: Path | None = None  # streams/dead_letters/set_aside.py; None: no requests
    requests_interval_s: float = 1.0
    group_prefix: str = "postriver-"
    partitions: int = 12
    commit_interval_s: float = 1.0  # upper bound on work repeated after kill -9
    session_timeout_s: float = 6.0  # until a killed worker's partitions move
    heartbeat_interval_s: float = 1.0
    rebalance_timeout_s: float = 10.0
    hold_first_s: float = 0.1  # doubles while an engine does not answer ...
    hold_cap_s: float = 5.0  # ... up to this delay
    unexpected_tries: int = 5  # within 60 s: 1 + 2 + 4 + 8 s between them
    unexpected_first_s: float = 1.0
    unreadable_tries: int = 10  # failures of an event while its engine serves other events ...
    unreadable_s: float = 300.0  # ... over at least so long; then the event is parked
    buffer_max_events: int = 512  # per partition; a partition at this limit is not fetched
    buffer_max_bytes: int = 8 * MIB  # per partition, as above
    poll_max_records: int = 200
    revoke_limit_s: float = 1.0  # how long cancelled handlers may hold up a rebalance
    drain_limit_s: float = 5.0  # how long running handlers may finish at a stop
    stop_limit_s: float = 15.0  # then the process ends without leaving the group
    start_limit_s: float = 60.0  # a worker without partitions for so long asks for a restart
    stall_limit_s: float = 300.0  # for a handler, or a backlog, without progress and without a hold
    lag_interval_s: float = 5.0

    def group(self, role: str) -> str:
        """Return the consumer group of a role."""
        return f"{self.group_prefix}{role}"
