"""Engines that run elsewhere: whether each host answers, and the signatures of their clamd."""

import asyncio
import time
from calendar import timegm
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ssl import SSLContext

from cli.config.config import Config
from cli.config.engine_url import EngineUrl
from cli.config.engines import CASSANDRA, CLAMD, KAFKA, OPENSEARCH, REDIS, S3, SPAMD
from cli.doctor.finding import Finding, note, ok, problem
from mail.errors import ScannerUnavailable
from scanners.clamd import ClamdScanner, ClamdScannerConfig
from stack.engines import clamd, opensearch, redis, spamd
from stack.engines.virus_signatures import Signatures
from stack.supervision.probes import (
    PROBE_TIMEOUT_S,
    CassandraProbe,
    KafkaProbe,
    PingProbe,
    Probe,
    TcpProbe,
)

_Maker = Callable[[str, int, SSLContext | None], Probe]
_DATE = "%a %b %d %H:%M:%S %Y"  # of signatures, in UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """A host of an engine. `reason`: why it does not answer as it should; "": it does."""

    engine: str
    at: str  # HOST:PORT
    reason: str


async def states(config: Config) -> list[HostState]:
    """Probe every host at once. A host takes at most PROBE_TIMEOUT_S."""
    return await asyncio.gather(*_probes(config))


async def answering(config: Config) -> list[Finding]:
    """Whether the hosts answer, as findings."""
    return [
        problem("answers", f"{each.engine} at {each.at}: {each.reason}", f"look there; {setting}")
        if each.reason
        else ok("answers", f"{each.engine} at {each.at} answers")
        for each in await states(config)
        for setting in [f"POSTRIVER_{each.engine.upper()}"]
    ]


def _probes(config: Config) -> Iterator["asyncio.Task[HostState]"]:
    for engine, url in config.external():
        for host, server in zip(url.hosts, url.servers, strict=True):
            yield asyncio.create_task(_state(config, engine, url, host, server))


async def _state(config: Config, engine: str, url: EngineUrl, host: str, at: str) -> HostState:
    try:
        reason = await _maker(config, engine)(host, url.port, url.ssl_context())()
    except OSError as error:
        reason = f"{url.ca}: {error.strerror or error}"
    return HostState(engine=engine, at=at, reason=reason or "")


def _maker(config: Config, engine: str) -> _Maker:
    """Make the probe of an engine. One with a password must refuse a client without it."""
    redis_answer = b"+PONG" if config.redis_password_file is None else b"-NOAUTH"
    search_status = 200 if config.opensearch_password_file is None else 401
    makers: dict[str, _Maker] = {
        CLAMD: lambda host, port, _: clamd.ping_at((host, port)),
        SPAMD: lambda host, port, _: spamd.ping_at((host, port)),
        REDIS: lambda host, port, tls: PingProbe((host, port), redis.PING, redis_answer, tls),
        CASSANDRA: lambda host, port, tls: CassandraProbe(port, host, tls),
        KAFKA: lambda host, port, tls: KafkaProbe(port, host, tls),
        OPENSEARCH: lambda host, port, tls: opensearch.answers_at(
            host, port, tls, status=search_status
        ),
        S3: lambda host, port, tls: TcpProbe(port, host, tls),
    }
    return makers[engine]


async def virus_signatures(config: Config) -> list[Finding]:
    """Check the signatures of a clamd that runs elsewhere; [] if it runs here."""
    address = config.scanner_addresses.get(CLAMD)
    if address is None:
        return []
    scanner = ClamdScanner(ClamdScannerConfig(address=address, timeout_s=PROBE_TIMEOUT_S))
    try:
        version = await scanner.signatures()
    except ScannerUnavailable as error:
        return [note("signatures", f"unknown: {error}", "see the finding of clamd")]
    found = parsed(version)
    if found.warnings():
        return [problem("signatures", f"{version}: {found}", "update them where clamd runs")]
    return [ok("signatures", version)]


def parsed(version: str) -> Signatures:
    """Read the answer of clamd to VERSION: `ClamAV 1.4.3/27830/Sat Nov 28 09:14:01 2026`."""
    _, _, rest = version.partition("/")
    number, _, date = rest.partition("/")
    try:
        built_at_s = float(timegm(time.strptime(date, _DATE)))
    except ValueError:
        return Signatures(kind="test")
    return Signatures(kind="official", version=number, built_at_s=built_at_s)
