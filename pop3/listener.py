"""POP3 server: listening sockets and their connections.

Reads the mail store and contents. Emits mailbox.commands: ExpungeMessages at QUIT, answered only
after the event. Mail store, directory or content store unavailable: `-ERR [SYS/TEMP]`. Broker or
mailbox unavailable: QUIT answers `-ERR [SYS/TEMP]`, and the messages may be deleted later. Killed
at any line: nothing is deleted, or what a QUIT has asked for.
"""

import asyncio
import logging
import ssl
from functools import partial

from edge.connections import SocketArguments, listening_sockets, wait_ended
from edge.sign_in.authenticator import Authenticator
from mail.lifecycle import Periodic
from pop3.config import Pop3Config
from pop3.connection import Pop3Connection
from pop3.context import Pop3Context
from pop3.maildrop_leases import RENEWAL_S
from pop3.ports import Pop3Ports
from pop3.session import Pop3Session

log = logging.getLogger(__name__)

BACKLOG = 1024
_ABORT_S = 1.0  # for connections whose tasks were cancelled


class Pop3Server:
    """Listening sockets and their connections, in the running loop. `tls` None: no TLS at all."""

    def __init__(
        self,
        config: Pop3Config,
        *,
        ports: Pop3Ports,
        authenticator: Authenticator,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._config = config
        self._listeners: list[asyncio.Server] = []
        self._tls_listeners: list[asyncio.Server] = []
        self._site = Pop3Context(config=config, ports=ports, authenticator=authenticator, tls=tls)
        self._checks = Periodic(
            "sign-ins of POP3", self.end_invalid_sessions, interval_s=config.check_s
        )
        self._renewals = Periodic(
            "leases of maildrops", self._site.leases.renew, interval_s=RENEWAL_S, first_s=RENEWAL_S
        )
        self.stats = self._site.stats
        self.connections = self._site.limiter

    @property
    def port(self) -> int:
        """The port with STLS; known after `start`."""
        return int(self._listeners[0].sockets[0].getsockname()[1])

    @property
    def tls_port(self) -> int:
        """The port with TLS from the first byte; known after `start` with `tls`."""
        return int(self._tls_listeners[0].sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Start to listen. Raises OSError: a port is taken."""
        config = self._config
        shared: SocketArguments = {"host": config.host, "reuse_port": config.reuse_port}
        plain = listening_sockets(config.descriptors, port=config.port, **shared)
        self._listeners = [await self._listen(plain_socket) for plain_socket in plain]
        if self._site.tls is not None:
            tls = {"ssl": self._site.tls, "ssl_handshake_timeout": config.tls_handshake_s}
            encrypted = listening_sockets(config.tls_descriptors, port=config.tls_port, **shared)
            self._tls_listeners = [await self._listen(each | tls) for each in encrypted]
        self._checks.start()
        self._renewals.start()
        log.info("pop3 listens on %s port %d", config.host, self.port)

    async def _listen(self, arguments: SocketArguments) -> asyncio.Server:
        make = partial(Pop3Connection, self._site, Pop3Session, implicit_tls="ssl" in arguments)
        return await asyncio.get_running_loop().create_server(make, backlog=BACKLOG, **arguments)

    async def end_invalid_sessions(self) -> None:
        """End the sessions whose password was changed or revoked, or whose user was disabled.

        Such a session deletes nothing. Raises StoreUnavailable: sessions stay until the next check.
        """
        for connection in tuple(self._site.connections):
            signed_in = connection.signed_in
            if signed_in is None or connection.is_updating:
                continue
            if not await self._site.authenticator.is_current(signed_in):
                connection.abort()

    async def stop(self) -> None:
        """Stop listening; let deletions end within `stop_grace_s`; close all connections."""
        self._site.stopping = True
        await self._checks.stop()
        for listener in (*self._listeners, *self._tls_listeners):
            listener.close()
        for connection in tuple(self._site.connections):
            if not connection.is_updating:
                connection.close()
        await self._wait_ended(within_s=self._config.stop_grace_s)
        for connection in tuple(self._site.connections):
            connection.abort()
        await self._wait_ended(within_s=_ABORT_S)
        await self._renewals.stop()
        await self._site.leases.wait_released()
        self._listeners.clear()
        self._tls_listeners.clear()

    async def _wait_ended(self, *, within_s: float) -> None:
        """Wait until all connections have ended, at most `within_s`."""
        tasks = [connection.task for connection in self._site.connections]
        await wait_ended(tasks, within_s=within_s)
