"""Connections before they are HTTP: how many there may be, overall and of one peer.

A door stands between the transport and aiohttp's protocol for the connection's whole life. With TLS
that is from the end of the handshake on; a handshake has a time limit.
"""

import asyncio
import os
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from api.config import ApiConfig
from api.http.client_address import ClientAddress
from api.metrics import ApiMetrics
from api.problems import too_many
from edge.trusted_networks import one_peer, plain_address

BACKLOG = 1024


class ConnectionLimiter:
    """What each peer has open: connections of his own, or requests that a trusted proxy brings."""

    def __init__(self, config: ApiConfig, metrics: ApiMetrics) -> None:
        self._config = config
        self._metrics = metrics
        self._of_peer: Counter[str] = Counter()

    def connect(self, address: str) -> bool:
        """False: a cap is reached. After True, `disconnect` once. A proxy's own are not capped."""
        full = self._metrics.connections >= self._config.connections_max
        if full or not (address in self._config.proxies or self._enter(address)):
            self._metrics.connections_refused += 1
            return False
        self._metrics.connections += 1
        return True

    def disconnect(self, address: str) -> None:
        self._metrics.connections -= 1
        if address not in self._config.proxies:
            self._leave(address)

    def bound(self, transport: Any) -> None:
        """Have the kernel end a connection whose peer takes nothing for `download_stall_s`.

        A close waits for what is in the buffers, and a peer can keep its window shut for ever.
        """
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in {socket.AF_INET, socket.AF_INET6}:
            patience_ms = max(1, int(self._config.download_stall_s * 1000))
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience_ms)

    @contextmanager
    def request(self, client: ClientAddress) -> Iterator[None]:
        """While one is answered. 429 when a proxied client has too many under way."""
        if not client.proxied:
            yield
            return
        if not self._enter(client.address):
            self._metrics.connections_refused += 1
            raise too_many("Too many requests at once.", self._config.retry_after_s)
        try:
            yield
        finally:
            self._leave(client.address)

    def _enter(self, address: str) -> bool:
        peer = one_peer(address)
        if self._of_peer[peer] >= self._config.connections_per_peer_max:
            return False
        self._of_peer[peer] += 1
        return True

    def _leave(self, address: str) -> None:
        peer = one_peer(address)
        self._of_peer[peer] -= 1
        if self._of_peer[peer] <= 0:
            del self._of_peer[peer]


class LimitedProtocol(asyncio.Protocol):
    """One connection's."""

    def __init__(self, inside: asyncio.Protocol, visitors: ConnectionLimiter) -> None:
        self._inside = inside  # aiohttp's
        self._visitors = visitors
        self._address: str | None = None  # None: turned away

    def connection_made(self, transport: Any) -> None:
        peer = transport.get_extra_info("peername")
        address = (plain_address(peer[0]) or "") if isinstance(peer, tuple) else ""
        if not self._visitors.connect(address):
            transport.abort()
            return
        self._address = address
        self._visitors.bound(transport)
        self._inside.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._address is not None:
            self._visitors.disconnect(self._address)
            self._inside.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if self._address is not None:
            self._inside.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._address is None else self._inside.eof_received()

    def pause_writing(self) -> None:
        self._inside.pause_writing()

    def resume_writing(self) -> None:
        self._inside.resume_writing()


class LimitedSite(web.BaseSite):
    """Listens for aiohttp's runner: on a socket that is there already, or where `config` says."""

    def __init__(
        self,
        runner: web.AppRunner,
        config: ApiConfig,
        visitors: ConnectionLimiter,
        *,
        tls: ssl.SSLContext | None,
        descriptor: int | None = None,
    ) -> None:
        super().__init__(runner)
        assert runner.server is not None
        self._protocol = runner.server
        self._visitors = visitors
        self._tls: dict[str, Any] = (
            {} if tls is None else {"ssl": tls, "ssl_handshake_timeout": config.tls_handshake_s}
        )
        self._where: dict[str, Any] = (
            {"host": config.host, "port": config.port}
            if descriptor is None
            else {"sock": socket.socket(fileno=os.dup(descriptor))}
        )

    @property
    def name(self) -> str:
        return "https" if self._tls else "http"

    async def start(self) -> None:
        await super().start()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: LimitedProtocol(self._protocol(), self._visitors),
            backlog=BACKLOG,
            **self._where,
            **self._tls,
        )
