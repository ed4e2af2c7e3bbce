"""Connections before they are HTTP: how many there may be, and the TLS handshake.

A door stands between the socket and aiohttp's protocol for the connection's whole life, so that one
is counted from its first packet on, and a handshake that never ends is counted and cut off too.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from api.clients import Client
from api.config import ApiConfig
from api.metrics import ApiMetrics
from api.problems import too_many
from mail.peers import one_peer, plain_address

BACKLOG = 1024


class Visitors:
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

    @contextmanager
    def request(self, client: Client) -> Iterator[None]:
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


class Door(asyncio.Protocol):
    """One connection's."""

    def __init__(self, site: "DoorSite", visitors: Visitors) -> None:
        self._site = site
        self._visitors = visitors
        self._inside: Any = None  # aiohttp's protocol, once there is something to speak over
        self._address: str | None = None  # None: not counted
        self._early = b""  # what came in one packet with the handshake's end
        self._handshake: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        peer = transport.get_extra_info("peername")
        address = (plain_address(peer[0]) or "") if isinstance(peer, tuple) else ""
        if not self._visitors.connect(address):
            transport.abort()
            return
        self._address = address
        if self._site.tls is None:
            self._let_in(transport)
        else:
            transport.pause_reading()
            self._handshake = asyncio.create_task(self._encrypt(transport, self._site.tls))

    async def _encrypt(self, transport: asyncio.Transport, tls: ssl.SSLContext) -> None:
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                tls,
                server_side=True,
                ssl_handshake_timeout=self._site.tls_handshake_s,
            )
        except OSError:
            transport.abort()
            self._leave()
        else:
            if self._address is not None and encrypted is not None:
                self._let_in(encrypted)

    def _let_in(self, transport: asyncio.Transport) -> None:
        self._inside = self._site.protocol()
        self._inside.connection_made(transport)
        if self._early:
            self._inside.data_received(self._early)
            self._early = b""

    def _leave(self) -> None:
        address, self._address = self._address, None
        if address is not None:
            self._visitors.disconnect(address)

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()
        if self._inside is not None:
            self._inside.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if self._inside is None:
            self._early += data
        else:
            self._inside.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._inside is None else self._inside.eof_received()

    def pause_writing(self) -> None:
        if self._inside is not None:
            self._inside.pause_writing()

    def resume_writing(self) -> None:
        if self._inside is not None:
            self._inside.resume_writing()


class DoorSite(web.BaseSite):
    """Listens on `listener`, for aiohttp's runner."""

    def __init__(
        self,
        runner: web.AppRunner,
        config: ApiConfig,
        visitors: Visitors,
        *,
        tls: ssl.SSLContext | None,
        listener: socket.socket | None = None,
    ) -> None:
        super().__init__(runner)
        assert runner.server is not None
        self.protocol = runner.server
        self.tls = tls
        self.tls_handshake_s = config.tls_handshake_s
        self._visitors = visitors
        self._where: dict[str, Any] = (
            {"host": config.host, "port": config.port} if listener is None else {"sock": listener}
        )

    @property
    def name(self) -> str:
        return "http" if self.tls is None else "https"

    async def start(self) -> None:
        await super().start()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Door(self, self._visitors), backlog=BACKLOG, **self._where
        )
