"""Context that all connections of one server share."""

import asyncio
import logging
import ssl
from dataclasses import dataclass, field
from typing import Protocol

from edge.connection_limits import ConnectionLimiter
from mail.ports import IntakeGate, QuotaCheck, Resolver
from smtp.server.acceptance import Acceptance
from smtp.server.config import SmtpConfig
from smtp.server.recipient_probing import RecipientProbing
from smtp.server.scan_shares import ScanShares
from smtp.server.stats import SmtpStats
from smtp.server.transfers import Transfers

log = logging.getLogger(__name__)


class StoppableConnection(Protocol):
    """A connection, as the stopping server uses it."""

    @property
    def task(self) -> "asyncio.Task[None]": ...

    def bow_out(self) -> None: ...

    def abort(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class ConnectionContext:
    """What connections of every SMTP server need. Created once by the server."""

    config: SmtpConfig
    resolver: Resolver
    room: QuotaCheck
    gate: IntakeGate
    stats: SmtpStats
    tls: ssl.SSLContext | None
    stopping: bool = False
    connections: set[StoppableConnection] = field(default_factory=set)
    limiter: ConnectionLimiter = field(init=False)
    transfers: Transfers = field(init=False)
    _closed_for: str | None = None

    def __post_init__(self) -> None:
        self.limiter = ConnectionLimiter(
            total_max=self.config.connections_max,
            per_peer_max=self.config.connections_per_peer_max,
        )
        self.transfers = Transfers(self.config, self.stats)

    def closed(self) -> bool:
        """Whether the gate is closed. Logs each change of its reason."""
        reason = self.gate.closed()
        if reason != self._closed_for:
            self._closed_for = reason
            log.warning("taking mail again" if reason is None else f"taking no mail: {reason}")
        return reason is not None

    def capabilities(self, *extensions: str, tls: bool) -> bytes:
        """The reply to EHLO; without STARTTLS when the connection has `tls` (RFC 3207 §4.2)."""
        lines = [
            f"{self.config.hostname} at your service",
            "PIPELINING",
            f"SIZE {self.config.message_max_bytes}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "CHUNKING",
            *extensions,
            *(["STARTTLS"] if self.tls and not tls else []),
            "HELP",
        ]
        ends = ["-"] * (len(lines) - 1) + [" "]
        return "".join(
            f"250{end}{line}\r\n" for end, line in zip(ends, lines, strict=True)
        ).encode()


@dataclass(slots=True, kw_only=True)
class ServerContext(ConnectionContext):
    """The context of the server that receives mail from other servers."""

    acceptance: Acceptance
    probing: RecipientProbing = field(init=False)
    shares: ScanShares = field(init=False)

    def __post_init__(self) -> None:
        ConnectionContext.__post_init__(self)
        self.probing = RecipientProbing(self.config)
        self.shares = ScanShares(self.config)
