"""Context that all connections of one POP3 server share."""

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Protocol

from edge.connection_limits import ConnectionLimiter
from edge.mailbox_commands import MailboxCommands
from edge.sign_in.authenticator import Authenticator, SignedIn
from pop3.config import Pop3Config
from pop3.maildrop_leases import MaildropLeases
from pop3.ports import Pop3Ports
from pop3.stats import Pop3Stats


class OpenConnection(Protocol):
    """A connection, as the server uses it."""

    @property
    def signed_in(self) -> SignedIn | None: ...

    @property
    def is_updating(self) -> bool: ...

    @property
    def task(self) -> "asyncio.Task[None]": ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class Pop3Context:
    """Created once by the server, read by its connections."""

    config: Pop3Config
    ports: Pop3Ports
    authenticator: Authenticator
    tls: ssl.SSLContext | None  # None: neither STLS nor the TLS port
    stats: Pop3Stats = field(default_factory=Pop3Stats)
    connections: set[OpenConnection] = field(default_factory=set)
    stopping: bool = False
    leases: MaildropLeases = field(init=False)
    commands: MailboxCommands = field(init=False)
    limiter: ConnectionLimiter = field(init=False)

    def __post_init__(self) -> None:
        self.leases = MaildropLeases(self.ports.attempts)
        self.commands = MailboxCommands(self.ports.publisher, self.ports.feed)
        self.limiter = ConnectionLimiter(
            total_max=self.config.connections_max,
            per_peer_max=self.config.connections_per_peer_max,
        )
