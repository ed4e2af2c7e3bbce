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

from aiosmtpd import smtp as aiosmtpd

from edge.connections import listening_sockets, wait_ended
from mail.ports import ContentStore, IntakeGate, Publisher, QuotaCheck, Resolver
from smtp.server.acceptance import Acceptance
from smtp.server.config import SmtpConfig
from smtp.server.context import ServerContext
from smtp.server.session import SmtpSession
from smtp.server.stats import SmtpStats

log = logging.getLogger(__name__)

BACKLOG = 1024
_ABORT_S = 1.0  # for connections whose tasks were cancelled


class SmtpServer:
    """Listening sockets and their connections, in the running loop."""

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
        self.stats = SmtpStats()
        self._config = config
        self._listeners: list[asyncio.Server] = []
        self._site = ServerContext(
            config=config,
            resolver=resolver,
            room=room,
            gate=gate,
            acceptance=Acceptance(config, self.stats, publisher=publisher, contents=contents),
            stats=self.stats,
            tls=tls,  # None: no STARTTLS
        )
        self.shares = self._site.shares
        self.connections = self._site.limiter

    @property
    def port(self) -> int:
        """The listening port; known after `start`."""
        return int(self._listeners[0].sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Start to listen. Raises OSError: the port is taken."""
        aiosmtpd.log.setLevel(logging.WARNING)  # at INFO it logs the peer of every connection
        loop = asyncio.get_running_loop()
        config = self._config
        for socket_arguments in listening_sockets(
            config.descriptors, host=config.host, port=config.port, reuse_port=config.reuse_port
        ):
            listener = await loop.create_server(
                lambda: SmtpSession(self._site, loop), backlog=BACKLOG, **socket_arguments
            )
            self._listeners.append(listener)
        log.info("smtp listens on %s port %d", self._config.host, self.port)

    async def stop(self) -> None:
        """Stop listening; let mails in progress end within `stop_grace_s`; close all with 421."""
        if not self._listeners:
            return
        self._site.stopping = True
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self._site.connections):
            connection.bow_out()
        await self._wait_closed(within_s=self._config.stop_grace_s)
        for connection in tuple(self._site.connections):
            connection.abort()
        await self._wait_closed(within_s=_ABORT_S)
        self._listeners.clear()

    async def _wait_closed(self, *, within_s: float) -> None:
        """Wait until all connections have ended, at most `within_s`."""
        tasks = [connection.task for connection in self._site.connections]
        await wait_ended(tasks, within_s=within_s)
