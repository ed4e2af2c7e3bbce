"""All engines of the distributed profile as others would run them, and settings that name them.

Each has TLS and a user with a password where the engine has them. OpenSearch has both from a front.
"""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from stack.engines import clamd, spamd
from stack.state_folder import StateFolder
from stack.supervision.program import Program
from stores.cassandra.session import ClusterConfig
from streams.config import TopicsConfig
from streams.topics.scram_users import ensure_users
from tests.support.broker import Broker, add_scram_listener, free_ports
from tests.support.cassandra import CassandraNode, make_owner
from tests.support.certificates import ServerCertificate, make_certificate
from tests.support.engine import NOBODY, Engine, give_to_nobody
from tests.support.in_thread import in_thread
from tests.support.opensearch import OpenSearchNode, secured
from tests.support.redis import RedisOverTls
from tests.support.versitygw import VersityGw, tls_settings

PASSWORD = "correct horse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """The engines that a test stops, and the settings of an installation that uses all."""

    settings: Mapping[str, str]
    redis: Engine
    clamd: Engine


@contextmanager
def engines_elsewhere(folder: Path) -> Iterator[Elsewhere]:
    """All engines run during the block, with their data in `folder`."""
    made = make_certificate(folder / "tls")
    broker = Broker(folder / "kafka")
    kafka_port = add_scram_listener(broker, made)
    cassandra = CassandraNode(folder / "cassandra")
    cassandra.only_over_tls(made)
    opensearch = OpenSearchNode(folder / "opensearch")
    redis = RedisOverTls(
        folder / "redis", certificate=made.certificate, key=made.key,
        user="counts", password=PASSWORD,
    )  # fmt: skip
    s3 = VersityGw(folder / "s3", tls_settings(made.certificate, made.key))
    clamd_port, spamd_port = free_ports(2)
    scanners = _clamd(folder / "clamd", clamd_port), _spamd(folder / "spamd", spamd_port)
    with ExitStack() as stack:
        engines = (broker, cassandra, opensearch, redis, s3, *scanners)
        for engine in engines:
            stack.callback(engine.stop)
        with ThreadPoolExecutor(len(engines)) as threads:
            for started in [threads.submit(engine.start) for engine in engines]:
                started.result()
        asyncio.run(_make_users(broker, cassandra, made))
        front = secured(opensearch.port, made, user="finder", password=PASSWORD)
        search_port = stack.enter_context(in_thread(front))
        tls = f"?tls=1&ca={made.certificate}"
        urls = {
            "CLAMD": f"clamd://127.0.0.1:{clamd_port}",
            "SPAMD": f"spamd://127.0.0.1:{spamd_port}",
            "REDIS": f"redis://counts@localhost:{redis.port}{tls}",
            "S3": f"s3://{s3.objects.access_key}@localhost:{s3.port}/postriver{tls}",
            "CASSANDRA": f"cassandra://tables@127.0.0.1:{cassandra.port}{tls}&replicas=1",
            "OPENSEARCH": f"opensearch://finder@localhost:{search_port}{tls}&replicas=0",
            "KAFKA": f"kafka://administrator@localhost:{kafka_port}{tls}&replicas=1",
        }
        files = _password_files(folder, s3.objects.secret_key)
        settings = {f"POSTRIVER_{name}": value for name, value in {**urls, **files}.items()}
        yield Elsewhere(settings=settings, redis=redis, clamd=scanners[0])


async def _make_users(broker: Broker, cassandra: CassandraNode, made: ServerCertificate) -> None:
    """The users of the URLs of Kafka and Cassandra, as an administrator makes them."""
    await ensure_users(TopicsConfig(bootstrap=broker.bootstrap), {"administrator": PASSWORD})
    administrator = ClusterConfig(port=cassandra.port, tls=made.trusted())
    await make_owner(administrator, "tables", PASSWORD)


def _password_files(folder: Path, secret_key: str) -> dict[str, str]:
    """Write them so that the user of the installation reads them, and return their settings."""
    shared, s3 = folder / "password", folder / "s3-key"
    shared.write_text(f"{PASSWORD}\n")
    s3.write_text(f"{secret_key}\n")
    return {"S3_PASSWORD_FILE": str(s3)} | {
        f"{name}_PASSWORD_FILE": str(shared)
        for name in ("REDIS", "CASSANDRA", "OPENSEARCH", "KAFKA")
    }


def _clamd(folder: Path, port: int) -> Engine:
    home = StateFolder(folder)
    for path in (home.run, home.signatures):
        path.mkdir(parents=True)
    program = clamd.clamd(home, clamd.ClamdConfig(official=folder / "none"))
    with clamd.conf_path(home).open("a", encoding="utf-8") as conf:
        conf.write(f"TCPSocket {port}\nTCPAddr 127.0.0.1\n")
    return _scanner(replace(program, ready=clamd.ping_at(("127.0.0.1", port))), folder)


def _spamd(folder: Path, port: int) -> Engine:
    home = StateFolder(folder)
    home.run.mkdir(parents=True)
    program = spamd.spamd(home)
    argv = [word for word in program.argv if not word.startswith("--socket")]
    argv += [f"--listen=127.0.0.1:{port}"]
    ready = spamd.ping_at(("127.0.0.1", port))
    return _scanner(replace(program, argv=tuple(argv), ready=ready), folder)


def _scanner(program: Program, folder: Path) -> Engine:
    """A scanner as it runs elsewhere: not as root."""
    give_to_nobody(folder)
    return Engine(program, folder.with_suffix(".log"), NOBODY)
