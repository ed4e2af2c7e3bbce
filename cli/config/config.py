"""Settings, read once from the environment and checked before anything starts.

No other module reads the environment. A bad value stops the start, and the error names the setting.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cli.config.engine_url import EngineUrl
from cli.config.engines import KAFKA, EngineSettings, engine_settings
from cli.config.setting_reader import BadSetting, SettingReader, written
from mail.addresses import normal_domain
from mail.directory.quotas import MESSAGES_MAX, SIZE_MAX_BYTES
from mail.errors import Refused
from schemas.directory import Quota
from stack.engines.freshclam import NO_MIRROR, PUBLIC_MIRROR
from stack.engines.opensearch import PORTS as OPENSEARCH_PORTS
from stack.log_format import FORMATS
from stack.secrets import known
from stack.socket_activation import handed_over
from streams.config import Bootstrap
from streams.topics.access_rules import OPERATOR, SETUP
from streams.topics.scram_users import MECHANISM

DEFAULT_PORTS = {
    "SMTP": 2525, "HTTP": 8080, "OPS": 8081, "KAFKA": 29092, "CONTROLLER": 29093,
    "SUBMISSION": 2587, "SUBMISSIONS": 2465, "POP3": 2110, "POP3S": 2995,
}  # fmt: skip
ENGINE_PORTS = {  # of the distributed profile, behind POSTRIVER_PORT_BASE too
    "CASSANDRA_PORT": 29_042, "CASSANDRA_STORAGE_PORT": 29_043,
    "OPENSEARCH_TRANSPORT_PORT": 29_044, "S3_PORT": 29_045,
}  # fmt: skip
OPENSEARCH_PORT = "OPENSEARCH_PORT"
PORTS_OF = {  # not opened here if the engine runs elsewhere
    "s3": ("S3_PORT",), "cassandra": ("CASSANDRA_PORT", "CASSANDRA_STORAGE_PORT"),
    "opensearch": (OPENSEARCH_PORT, "OPENSEARCH_TRANSPORT_PORT"),
    "kafka": ("KAFKA_PORT", "CONTROLLER_PORT"),
}  # fmt: skip
_STEPS = {name: step for step, name in enumerate(DEFAULT_PORTS)}  # behind POSTRIVER_PORT_BASE
PREFIX = "POSTRIVER_"
SCRIPT_SETTINGS = ("ASSUME_YES", "CHECKOUT")  # read by scripts/
DEPRECATED: Mapping[str, str] = {}  # old name to new name
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PortNumbers:
    """TCP ports. SMTP, HTTP, submission and POP3 listen on `bind`, the others on the loopback."""

    smtp: int
    http: int
    ops: int
    kafka: int
    controller: int
    submission: int
    submissions: int
    pop3: int
    pop3s: int

    def named(self) -> dict[str, int]:
        """Return ports by setting name, for messages about ports in use."""
        return {f"POSTRIVER_{name}_PORT": getattr(self, name.lower()) for name in DEFAULT_PORTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(EngineSettings):
    """The settings. README.md and docs/limits.md list the same names."""

    profile: str  # embedded | distributed
    home: Path
    tools: Path  # uv, the engines' jars, and packages installed by apt
    bind: str
    ports: PortNumbers
    hostname: str  # in Received, greeting and EHLO
    message_max_bytes: int
    recipients_max: int
    connections_max: int
    connections_per_peer_max: int
    junk_score: float
    quarantine_score: float
    encrypted: str  # deliver (marked) | quarantine
    backlog_max_mails: int
    session_days: int
    upload_hours: int  # after its last use an upload expires
    ledger_days: int
    feed_days: int  # how far back /v1/changes reaches
    quota_bytes: int  # of a user without a quota; 0: no limit
    quota_mails: int
    log_level: str
    log_format: str
    signatures: str  # local: no network access | update: freshclam runs
    signatures_mirror: str
    signatures_urls: str  # of single databases, comma-separated
    signatures_checks: int  # per day
    cassandra_port: int  # of the distributed profile, as cassandra_storage_port
    cassandra_storage_port: int
    opensearch_port: int
    opensearch_transport_port: int
    opensearch_java_home: Path | None
    s3_port: int
    user: str = OPERATOR  # the role of this process, as the broker's user; not a setting
    number: int = 1  # of this process among the processes of its role; not a setting

    @property
    def process(self) -> str:
        """The name of this process in socket, log and hops."""
        return process_name(self.user, self.number)

    @property
    def bootstrap(self) -> Bootstrap:
        """Return the broker's address, with `user` and its secret.

        Without a secret if no start has created it yet. Raises Refused: it cannot be read.
        """
        if self.kafka is not None:
            return self._cluster(self.kafka)
        servers = f"127.0.0.1:{self.ports.kafka}"
        try:
            secret = known(self.home, self.user)
        except OSError as error:
            raise Refused(f"the broker's secret cannot be read: {error}") from error
        return Bootstrap(servers, self.user, secret) if secret else Bootstrap(servers)

    def _cluster(self, url: EngineUrl) -> Bootstrap:
        """A cluster that runs elsewhere: `setup` is the user of the URL, each role its own."""
        try:
            is_setup = self.user == SETUP
            user = url.user if is_setup else self.user
            password = self.password_of(KAFKA) if is_setup else known(self.home, user)
            tls = url.ssl_context()
        except OSError as error:
            raise Refused(f"a file of POSTRIVER_KAFKA cannot be read: {error}") from error
        return Bootstrap(",".join(url.servers), user, password or "", MECHANISM, tls)

    @property
    def quota(self) -> Quota:
        return Quota(size_bytes=self.quota_bytes, messages=self.quota_mails)

    @property
    def http_url(self) -> str:
        return f"http{'s' * self.https}://{self.bind}:{self.ports.http}"

    def all_ports(self) -> dict[str, int]:
        """Return the ports that the stack opens, by setting name."""
        engines = (*ENGINE_PORTS, OPENSEARCH_PORT) if self.profile == "distributed" else ()
        found = {f"{PREFIX}{name}": getattr(self, name.lower()) for name in engines}
        elsewhere = {
            f"{PREFIX}{port}" for name, _ in self.external() for port in PORTS_OF.get(name, ())
        }
        ports = self.ports.named() | found
        return {name: port for name, port in ports.items() if name not in elsewhere}

    def as_settings(self) -> dict[str, str]:
        """Return the environment that gives this configuration again, for our own processes."""
        plain = {field.name: getattr(self, field.name) for field in _settings()}
        ports = plain.pop("ports")
        plain |= {f"{name}_port": number for name, number in asdict(ports).items()}
        return {f"POSTRIVER_{name.upper()}": written(value) for name, value in plain.items()}


def process_name(role: str, number: int) -> str:
    """The name of process `number` of a role: `api`, `api-2`, ..."""
    return role if number == 1 else f"{role}-{number}"


def _settings() -> Iterator[Field[Any]]:
    return (field for field in fields(Config) if field.name not in {"user", "number"})


KNOWN_SETTINGS = frozenset(
    f"{PREFIX}{name}"
    for name in (
        *(field.name.upper() for field in _settings() if field.name != "ports"),
        *(f"{name}_PORT" for name in DEFAULT_PORTS),
        "PORT_BASE", *SCRIPT_SETTINGS,
    )
)  # fmt: skip


def environment() -> dict[str, str]:
    """Return the POSTRIVER_* variables of the environment, known or not."""
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}


def _mirror(read: SettingReader) -> str:
    mirror = read.text("SIGNATURES_MIRROR", PUBLIC_MIRROR)
    return mirror if mirror in {PUBLIC_MIRROR, NO_MIRROR} else read.urls("SIGNATURES_MIRROR")


def passed_sockets() -> dict[str, tuple[int, ...]]:
    """Return the listening sockets that the service manager passed. Raises BadHandover."""
    return handed_over(os.environ)


def checkout() -> Path:
    """Return the folder of the checkout, or the current folder if installed as a wheel."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() else Path.cwd()


def load(environ: Mapping[str, str] | None = None) -> Config:
    """Return the configuration. Raises BadSetting with the first value that cannot be used."""
    read = SettingReader(os.environ if environ is None else environ)
    base = _base(read)
    junk, quarantine = read.score("JUNK_SCORE", 5.0), read.score("QUARANTINE_SCORE", 15.0)
    if quarantine < junk:
        raise BadSetting("POSTRIVER_QUARANTINE_SCORE", str(quarantine), f"at least {junk}")
    profile = read.choice("PROFILE", "embedded", ("embedded", "distributed"))
    return Config(
        **engine_settings(read, profile=profile),
        profile=profile,
        home=Path(read.text("HOME", str(checkout() / ".postriver"))).expanduser().absolute(),
        tools=Path(read.text("TOOLS", str(checkout() / ".tools"))).expanduser().absolute(),
        bind=read.text("BIND", "127.0.0.1"),
        ports=_ports(read, base),
        hostname=_hostname(read),
        message_max_bytes=read.number(
            "MESSAGE_MAX_BYTES", 50 * MIB, least=64 * 1024, most=50 * MIB
        ),
        recipients_max=read.number("RECIPIENTS_MAX", 100, least=1, most=1000),
        connections_max=read.number("CONNECTIONS_MAX", 500, least=1, most=20_000),
        connections_per_peer_max=read.number("CONNECTIONS_PER_PEER_MAX", 50, least=1, most=20_000),
        junk_score=junk,
        quarantine_score=quarantine,
        encrypted=read.choice("ENCRYPTED", "deliver", ("deliver", "quarantine")),
        backlog_max_mails=read.number("BACKLOG_MAX_MAILS", 1_000_000, least=1, most=10**9),
        session_days=read.number("SESSION_DAYS", 30, least=1, most=365),
        upload_hours=read.number("UPLOAD_HOURS", 24, least=1, most=24 * 365),
        feed_days=read.number("FEED_DAYS", 30, least=1, most=3650),
        quota_bytes=read.number("QUOTA_BYTES", 0, least=0, most=SIZE_MAX_BYTES),
        quota_mails=read.number("QUOTA_MAILS", 0, least=0, most=MESSAGES_MAX),
        ledger_days=read.number("LEDGER_DAYS", 35, least=1, most=3650),
        log_level=read.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
        log_format=read.choice("LOG_FORMAT", "text", FORMATS),
        signatures=read.choice("SIGNATURES", "local", ("local", "update")),
        signatures_mirror=_mirror(read),
        signatures_urls=read.urls("SIGNATURES_URLS"),
        signatures_checks=read.number("SIGNATURES_CHECKS", 12, least=1, most=50),
        **_engines(read, base),
    )


def _engines(read: SettingReader, base: int) -> dict[str, Any]:
    """Settings of the engines of the distributed profile. `base`: POSTRIVER_PORT_BASE, or 0."""
    steps = {name: base + step for step, name in enumerate(ENGINE_PORTS, len(DEFAULT_PORTS))}
    defaults = ENGINE_PORTS | (steps if base else {})
    ports = {
        name: read.number(name, default, least=1, most=65_535) for name, default in defaults.items()
    }
    return {name.lower(): port for name, port in ports.items()} | {
        "opensearch_port": read.number(
            OPENSEARCH_PORT,
            OPENSEARCH_PORTS[0],
            least=OPENSEARCH_PORTS[0],
            most=OPENSEARCH_PORTS[-1],
        ),
        "opensearch_java_home": read.path("OPENSEARCH_JAVA_HOME"),
    }


def _base(read: SettingReader) -> int:
    base = read.number("PORT_BASE", 0, least=0, most=65_000)
    if 0 < base < 1024:
        raise BadSetting("POSTRIVER_PORT_BASE", str(base), "1024 to 65000")
    return base


def _ports(read: SettingReader, base: int) -> PortNumbers:
    ports = {
        name.lower(): read.number(
            f"{name}_PORT", base + _STEPS[name] if base else default, least=1, most=65_535
        )
        for name, default in DEFAULT_PORTS.items()
    }
    if len(set(ports.values())) < len(ports):
        raise BadSetting(
            "POSTRIVER_*_PORT", str(sorted(ports.values())), f"{len(ports)} different ports"
        )
    return PortNumbers(**ports)


def _hostname(read: SettingReader) -> str:
    setting = read.text("HOSTNAME", "")
    try:
        return normal_domain(setting or _own_name())
    except Refused as error:
        if setting:
            raise BadSetting("POSTRIVER_HOSTNAME", setting, error.detail) from error
        return "localhost.localdomain"


def _own_name() -> str:
    """Return the host name of the kernel; no DNS query is sent."""
    return socket.gethostname()
