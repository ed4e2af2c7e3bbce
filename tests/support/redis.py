"""Redis for tests, started with the product's own configuration."""

import hashlib
import ssl
from dataclasses import replace
from pathlib import Path

from stack.engines.redis import PING, redis
from stack.state_folder import StateFolder
from stack.supervision.probes import PingProbe
from stores.redis.client import RedisConfig
from tests.support.broker import free_ports
from tests.support.engine import Engine

RIGHTS = "~attempts:* ~tokens:* +@all -@dangerous"  # as docs/operations.md has them


class RedisServer(Engine):
    """A server on a unix socket."""

    def __init__(self, folder: Path) -> None:
        home = StateFolder(folder / "home")
        home.run.mkdir(parents=True)
        self.config = RedisConfig(address=home.socket("redis"), timeout_s=60)  # a busy machine
        super().__init__(redis(home), folder / "out.log")


class RedisOverTls(Engine):
    """A server on a port of localhost, with TLS only, and one user, who has a password."""

    def __init__(
        self, folder: Path, *, certificate: Path, key: Path, user: str, password: str
    ) -> None:
        home, (self.port,) = StateFolder(folder / "home"), free_ports(1)
        home.run.mkdir(parents=True)
        program = redis(home)
        digest = hashlib.sha256(password.encode()).hexdigest()
        with (home.engine("redis") / "redis.conf").open("a", encoding="utf-8") as conf:
            conf.write(
                f"tls-port {self.port}\nbind 127.0.0.1 -::1\ntls-cert-file {certificate}\n"
                f"tls-key-file {key}\ntls-auth-clients no\nuser default off\n"
                f'user {user} on "#{digest}" {RIGHTS}\n'
            )
        tls = ssl.create_default_context(cafile=certificate)
        ready = PingProbe(("localhost", self.port), PING, b"-NOAUTH", tls)
        super().__init__(replace(program, ready=ready), folder / "out.log")
