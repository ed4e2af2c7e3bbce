"""One POP3 connection: its lifetime, its lines and its limits. The commands are in session.py."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Any, Protocol, cast

from edge import proxy_protocol
from edge.connections import linger, peer_address
from edge.line_reader import LineReader
from edge.sign_in.authenticator import SignedIn
from pop3 import replies
from pop3.context import Pop3Context

log = logging.getLogger(__name__)

READ_BUFFER_BYTES = 16 * 1024  # holds the longest line of an exchange (edge/sign_in/sasl.py)
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 20, "TCP_KEEPCNT": 3}  # a lost peer: 2 minutes


class SessionCommands(Protocol):
    """The commands of a connection, as the connection uses them."""

    @property
    def signed_in(self) -> SignedIn | None: ...

    @property
    def is_updating(self) -> bool: ...

    async def execute(self, line: bytes | None) -> bool:
        """Answer one line; False: the connection ends."""
        ...

    def end(self) -> None:
        """Release what the session holds. Without QUIT nothing is deleted."""
        ...


class Pop3Connection(asyncio.StreamReaderProtocol):
    """A connection to a client. `implicit_tls`: TLS began before the first byte."""

    def __init__(
        self,
        site: Pop3Context,
        make_session: Callable[["Pop3Connection"], SessionCommands],
        *,
        implicit_tls: bool,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.reader = LineReader(limit=READ_BUFFER_BYTES, loop=self.loop)
        super().__init__(self.reader, self._begin, loop=self.loop)
        self.site = site
        self.client = ""
        self.is_encrypted = implicit_tls
        self._session = make_session(self)
        self._counted_as: str | None = None  # None: a proxy before its header
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._sign_in_by_s = self.loop.time() + site.config.sign_in_s

    # life

    def connection_made(self, transport: Any) -> None:
        self.client = peer_address(transport)
        if self.is_encrypted or self.client not in self.site.config.proxies:
            self._counted_as = self.client
        if self.site.stopping or not self.site.limiter.connect(self._counted_as):
            reply = replies.STOPPING if self.site.stopping else replies.TOO_MANY_CONNECTIONS
            transport.write(reply.encode() + b"\r\n")
            transport.close()
            return
        _keep_alive(transport)
        super().connection_made(transport)

    def _begin(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._limit_buffer()
        self.site.stats.tls_total += self.is_encrypted
        self.site.connections.add(self)
        self._task = self.loop.create_task(self._run())
        self._task.add_done_callback(self._release)

    def connection_lost(self, error: Exception | None) -> None:
        if self._writer is not None:
            super().connection_lost(error)

    def eof_received(self) -> bool:
        """The client has closed its sending side, and may still read replies."""
        if self._writer is None:
            return False
        self.reader.feed_eof()
        return not self.is_encrypted

    def _release(self, task: "asyncio.Task[None]") -> None:
        """Release the connection; runs once its task has ended for any reason."""
        self._session.end()
        self.site.connections.discard(self)
        self.site.limiter.disconnect(self._counted_as)
        if not task.cancelled() and task.exception() is not None:
            log.error("connection failed", exc_info=task.exception())
        self.close()

    @property
    def signed_in(self) -> SignedIn | None:
        return self._session.signed_in

    @property
    def is_updating(self) -> bool:
        return self._session.is_updating

    @property
    def task(self) -> "asyncio.Task[None]":
        assert self._task is not None
        return self._task

    @property
    def writer(self) -> asyncio.StreamWriter:
        assert self._writer is not None
        return self._writer

    def close(self) -> None:
        """Close after the client has read what was written; abort after `linger_s`."""
        transport = self.writer.transport
        if not transport.is_closing():
            transport.close()
            self.loop.call_later(self.site.config.linger_s, transport.abort)

    def abort(self) -> None:
        """End the connection at once, so that no client takes what it has for complete."""
        self.writer.transport.abort()
        if self.task is not asyncio.current_task():
            self.task.cancel()

    # bytes

    async def line(self) -> bytes | None:
        """The next line with its LF; None for a line over READ_BUFFER_BYTES, which is dropped.

        Raises EOFError; TimeoutError: no line within `idle_s`, or no sign-in within `sign_in_s`.
        """
        wait_s = self.site.config.idle_s
        if self.signed_in is None:
            wait_s = min(wait_s, self._sign_in_by_s - self.loop.time())
        async with asyncio.timeout(wait_s):
            return await self.reader.line()

    async def send(self, data: bytes) -> None:
        """Write `data`; wait while the client reads slowly.

        Raises OSError, also when the client does not read within `send_s`.
        """
        self.writer.write(data)
        try:
            async with asyncio.timeout(self.site.config.send_s):
                await self.writer.drain()
        except TimeoutError:
            self.writer.transport.abort()
            raise ConnectionAbortedError from None

    async def reply(self, reply: str) -> None:
        """Send and count one reply of one line."""
        if reply.startswith("-ERR"):
            self.site.stats.refused_total[replies.code_of(reply)] += 1
        await self.send(reply.encode() + b"\r\n")

    async def hang_up(self, reply: str) -> None:
        """Send `reply`, read on for up to `linger_s`, and close."""
        await self.reply(reply)
        await linger(self.reader, self.writer, within_s=self.site.config.linger_s)
        self.close()

    async def start_tls(self) -> None:
        """Begin TLS; bytes that came before the handshake are discarded (RFC 2595 §4)."""
        assert self.site.tls is not None
        self.reader.discard()
        handshake_s = self.site.config.tls_handshake_s
        await self.writer.start_tls(self.site.tls, ssl_handshake_timeout=handshake_s)
        self.reader.move_to(cast("asyncio.Transport", self.writer.transport))
        self._limit_buffer()
        self.is_encrypted = True
        self.site.stats.tls_total += 1

    def _limit_buffer(self) -> None:
        self.writer.transport.set_write_buffer_limits(high=self.site.config.piece_bytes)

    # the dialogue

    async def _run(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            if not await self._identify_peer():
                return
            await self.send(f"+OK {self.site.config.hostname} POP3 Postriver\r\n".encode())
            await self._dialogue()

    async def _dialogue(self) -> None:
        while await self._session.execute(await self.line()):
            pass

    async def _identify_peer(self) -> bool:
        """Read the PROXY header of a trusted proxy; False when the connection has to end."""
        if self._counted_as is not None:
            return True
        within_s, stats = self.site.config.proxy_header_s, self.site.stats
        client = await proxy_protocol.client_of(
            self.client, self.reader, within_s=within_s, stats=stats
        )
        if client is None:
            return False
        self.client = client
        if not self.site.limiter.acquire(self.client):
            await self.reply(replies.TOO_MANY_CONNECTIONS)
            return False
        self._counted_as = self.client
        return True


def _keep_alive(transport: Any) -> None:
    """Detect a peer that is gone: its session would keep the maildrop until `idle_s` has passed."""
    connected = transport.get_extra_info("socket")
    if connected is None or connected.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
