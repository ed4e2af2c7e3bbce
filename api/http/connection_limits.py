"""Connection limits of the HTTP port, held before aiohttp's protocol sees a byte.

LimitedProtocol is between the transport and aiohttp's protocol for the life of the connection.
With TLS a connection counts from the end of its handshake; a handshake has a time limit.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from api.config import ApiConfig
from api.http.client_address import ClientAddress
from api.problems import too_many
from edge.connection_limits import ConnectionLimiter
from edge.trusted_networks import plain_address

BACKLOG = 1024


@contextmanager
def request_slot(
    limiter: ConnectionLimiter, client: ClientAddress, config: ApiConfig
) -> Iterator[None]:
    """Count a request that a trusted proxy brings against its client, while it is answered.

    A client without a proxy is limited by its connections. Raises 429: the client is at its cap.
    """
    if not client.proxied:
        yield
        return
    if not limiter.acquire(client.address):
        raise too_many("Too many requests at once.", config.retry_after_s)
    try:
        yield
    finally:
        limiter.release(client.address)


class LimitedProtocol(asyncio.Protocol):
    """Wraps aiohttp's protocol of one connection; a connection beyond a cap is aborted."""

    def __init__(
        self, inside: asyncio.Protocol, limiter: ConnectionLimiter, config: ApiConfig
    ) -> None:
        self._inside = inside  # aiohttp's
        self._limiter = limiter
        self._config = config
        self._address: str | None = None  # None: of a trusted proxy
        self._refused = True

    def connection_made(self, transport: Any) -> None:
        peer = transport.get_extra_info("peername")
        address = (plain_address(peer[0]) or "") if isinstance(peer, tuple) else ""
        self._address = None if address in self._config.proxies else address
        self._refused = not self._limiter.connect(self._address)
        if self._refused:
            transport.abort()
            return
        _set_user_timeout(transport, self._config.download_stall_s)
        self._inside.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._refused:
            self._limiter.disconnect(self._address)
            self._inside.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            self._inside.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._refused else self._inside.eof_received()

    def pause_writing(self) -> None:
        self._inside.pause_writing()

    def resume_writing(self) -> None:
        self._inside.resume_writing()


def _set_user_timeout(transport: Any, timeout_s: float) -> None:
    """Have the kernel end a connection whose peer acknowledges nothing for `timeout_s`.

    A close waits for what is in the buffers, and a peer can keep its window shut without end.
    """
    raw = transport.get_extra_info("socket")
    if raw is not None and raw.family in {socket.AF_INET, socket.AF_INET6}:
        timeout_ms = max(1, int(timeout_s * 1000))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)


class LimitedSite(web.BaseSite):
    """Listening socket of aiohttp's runner: `descriptor`, or else the host and port of `config`."""

    def __init__(
        self,
        runner: web.AppRunner,
        config: ApiConfig,
        limiter: ConnectionLimiter,
        *,
        tls: ssl.SSLContext | None,
        descriptor: int | None = None,
    ) -> None:
        super().__init__(runner)
        assert runner.server is not None
        self._protocol = runner.server
        self._limiter = limiter
        self._config = config
        self._tls: dict[str, Any] = (
            {} if tls is None else {"ssl": tls, "ssl_handshake_timeout": config.tls_handshake_s}
        )
        self._where: dict[str, Any] = (
            {"host": config.host, "port": config.port, "reuse_port": config.reuse_port or None}
            if descriptor is None
            else {"sock": socket.socket(fileno=os.dup(descriptor))}
        )

    @property
    def name(self) -> str:
        return "https" if self._tls else "http"

    async def start(self) -> None:
        await super().start()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: LimitedProtocol(self._protocol(), self._limiter, self._config),
            backlog=BACKLOG,
            **self._where,
            **self._tls,
        )
