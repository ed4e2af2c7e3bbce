"""SMTP server: listening sockets and their connections. From the 250 on a mail is our duty.

Reads the directory (Resolver) and usage (QuotaCheck). Emits mail.received; content over
`inline_max_bytes` is stored before. Refuses in the dialogue alone: unknown user, other domain, too
big, a loop, bare CR or LF. Low disk or backlog (IntakeGate): 452 at MAIL. Full mailbox: 452 at
RCPT.
Broker, content store or directory unavailable: 451 within a time limit. Mail store unavailable:
quotas are not checked. Killed at any line: the client sends again what got no 250.
"""

import asyncio
import logging
import ssl
from functools import partial

from aiosmtpd import smtp as aiosmtpd

from edge.connections import SocketArguments, listening_sockets, wait_ended
from mail.ports import ContentStore, IntakeGate, Publisher, QuotaCheck, Resolver
from smtp.server.acceptance import Acceptance
from smtp.server.config import SmtpConfig
from smtp.server.connection import SmtpConnection
from smtp.server.context import ConnectionContext, ServerContext
from smtp.server.session import SmtpSession
from smtp.server.stats import SmtpStats

log = logging.getLogger(__name__)

BACKLOG = 1024
_ABORT_S = 1.0  # for connections whose tasks were cancelled


class SmtpListeners:
    """Listening sockets and their connections, in the running loop: start and stop of a server."""

    def __init__(self, site: ConnectionContext) -> None:
        self._site = site
        self._listeners: list[asyncio.Server] = []
        self.stats = site.stats
        self.connections = site.limiter

    async def listen(
        self, session: type[SmtpConnection], arguments: SocketArguments
    ) -> asyncio.Server:
        """Accept connections of `session` on a socket. Raises OSError: the port is taken."""
        aiosmtpd.log.setLevel(logging.WARNING)  # at INFO it logs the peer of every connection
        loop = asyncio.get_running_loop()
        make = partial(session, self._site, loop, implicit_tls="ssl" in arguments)
        listener = await loop.create_server(make, backlog=BACKLOG, **arguments)
        self._listeners.append(listener)
        return listener

    async def stop(self) -> None:
        """Stop listening; let mails in progress end within `stop_grace_s`; close all with 421."""
        if not self._listeners:
            return
        self._site.stopping = True
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self._site.connections):
            connection.bow_out()
        await self._wait_closed(within_s=self._site.config.stop_grace_s)
        for connection in tuple(self._site.connections):
            connection.abort()
        await self._wait_closed(within_s=_ABORT_S)
        self._listeners.clear()

    async def _wait_closed(self, *, within_s: float) -> None:
        """Wait until all connections have ended, at most `within_s`."""
        tasks = [connection.task for connection in self._site.connections]
        await wait_ended(tasks, within_s=within_s)


class SmtpServer(SmtpListeners):
    """The server that receives mail from other servers."""

    _site: ServerContext

    def __init__(
        self,
        config: SmtpConfig,
        *,
        resolver: Resolver,
        room: QuotaCheck,
        publisher: Publisher,
        contents: ContentStore,
        gate: IntakeGate,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        stats = SmtpStats()
        super().__init__(
            ServerContext(
                config=config,
                resolver=resolver,
                room=room,
                gate=gate,
                acceptance=Acceptance(config, stats, publisher=publisher, contents=contents),
                stats=stats,
                tls=tls,  # None: no STARTTLS
            )
        )
        self._config = config
        self.shares = self._site.shares

    @property
    def port(self) -> int:
        """The listening port; known after `start`."""
        return int(self._listeners[0].sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Start to listen. Raises OSError: the port is taken."""
        config = self._config
        for arguments in listening_sockets(
            config.descriptors, host=config.host, port=config.port, reuse_port=config.reuse_port
        ):
            await self.listen(SmtpSession, arguments)
        log.info("smtp listens on %s port %d", config.host, self.port)
