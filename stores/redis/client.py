"""A Redis server: scripts, awaited on the caller's event loop, with one short time limit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

from redis.asyncio import (
    BlockingConnectionPool,
    Connection,
    Redis,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from mail.errors import StoreUnavailable

SCAN_COUNT = 1000  # keys that the server looks at in one step of a walk
Script = Callable[[Sequence[str], Sequence[int | str]], Awaitable[Any]]  # keys, arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisConfig:
    """`timeout_s`: of a call, its connection included; a sign-in waits for it."""

    address: Path | tuple[str, int]  # a unix socket, or a host and a port
    user: str = ""  # "": the default user
    password: str = field(default="", repr=False)
    tls: bool = False
    ca: Path | None = None  # certificates that are trusted; None: those of the system
    timeout_s: float = 1.0
    connections_max: int = 32


class RedisClient:
    """Connections to one server. Every method raises StoreUnavailable."""

    def __init__(self, redis: Redis, timeout_s: float) -> None:
        self._redis = redis
        self._timeout_s = timeout_s

    @classmethod
    def open(cls, config: RedisConfig) -> Self:
        """Connections are made when they are needed: a server that is away is no error here."""
        pool = BlockingConnectionPool(  # a call waits for a connection, within its time limit
            **_connection(config),
            max_connections=config.connections_max,
            retry=Retry(NoBackoff(), retries=1),  # an idle connection may have been closed
            decode_responses=True,
        )
        return cls(Redis.from_pool(pool), config.timeout_s)

    async def close(self) -> None:
        await self._redis.aclose()

    def script(self, text: str) -> Script:
        """A Lua script, sent once and then called by its digest. The server runs it atomically."""
        registered = self._redis.register_script(text)

        async def call(keys: Sequence[str], arguments: Sequence[int | str]) -> Any:
            return await self._tried(registered(keys=list(keys), args=list(arguments)))

        return call

    async def walk(self, pattern: str, place: int = 0) -> tuple[int, list[str]]:
        """The next keys that match, and the next `place`; 0 after the last."""
        found = await self._tried(self._redis.scan(place, match=pattern, count=SCAN_COUNT))
        return cast("tuple[int, list[str]]", (int(found[0]), found[1]))

    async def _tried(self, answer: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await answer
        except (RedisError, OSError) as error:
            raise StoreUnavailable(f"redis: {type(error).__name__}: {error}") from error


def _connection(config: RedisConfig) -> dict[str, Any]:
    """Arguments of a pool for connections to the server."""
    login = {"username": config.user or None, "password": config.password or None}
    if isinstance(config.address, Path):
        path = str(config.address)
        return {"connection_class": UnixDomainSocketConnection, "path": path, **login}
    host, port = config.address
    more: dict[str, Any] = {"connection_class": Connection}
    if config.tls:  # verifies the certificate and the name of the server
        ca = None if config.ca is None else str(config.ca)
        more = {"connection_class": SSLConnection, "ssl_ca_certs": ca}
    return {"host": host, "port": port, **login, **more}
