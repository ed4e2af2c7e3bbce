"""ingress: mail comes in by SMTP, and is ours from the 250 on.

Reads sockets, the directory (Resolver) and usage (Room). Emits mail.received; larger content goes
to the content store before it. Refuses in the dialogue only: unknown user, foreign domain, too big,
a loop, broken line ends. Low disk or a backlog (Gate): 452 at MAIL; a full mailbox: 452 at RCPT.
The broker, the content store or the directory does not answer: 451, within a bound. The mail store
does not: quotas are not looked at. Killed at any line: what got no 250 comes again.
"""

import asyncio
import logging
import os
import socket
import ssl
from typing import Any

from aiosmtpd import smtp as aiosmtpd

from mail.ports import ContentStore, IntakeGate, Publisher, QuotaCheck, Resolver
from smtp.server.acceptance import Acceptance
from smtp.server.config import SmtpConfig
from smtp.server.context import ServerContext
from smtp.server.session import SmtpSession
from smtp.server.stats import SmtpStats

log = logging.getLogger(__name__)

BACKLOG = 1024
_LAST_WORDS_S = 1.0  # for connections that were told to go


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
        """The port that is listened on, known after `start`."""
        return int(self._listeners[0].sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen. OSError: the port is taken."""
        aiosmtpd.log.setLevel(logging.WARNING)  # it names peers at INFO, for every connection
        loop = asyncio.get_running_loop()
        for place in self._places():
            listener = await loop.create_server(
                lambda: SmtpSession(self._site, loop), backlog=BACKLOG, **place
            )
            self._listeners.append(listener)
        log.info("smtp listens on %s port %d", self._config.host, self.port)

    def _places(self) -> list[dict[str, Any]]:
        """Arguments of create_server, one set for each listening socket."""
        config = self._config
        if config.descriptors:
            return [{"sock": socket.socket(fileno=os.dup(each))} for each in config.descriptors]
        reuse_port = config.reuse_port or None
        return [{"host": config.host, "port": config.port, "reuse_port": reuse_port}]

    async def stop(self) -> None:
        """Take no connection; let mails under way end within the grace; close all with 421."""
        if not self._listeners:
            return
        self._site.stopping = True
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self._site.connections):
            connection.bow_out()
        await self._empty(within_s=self._config.stop_grace_s)
        for connection in tuple(self._site.connections):
            connection.abort()
        await self._empty(within_s=_LAST_WORDS_S)
        self._listeners.clear()

    async def _empty(self, *, within_s: float) -> None:
        tasks = [connection.task for connection in self._site.connections]
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)
