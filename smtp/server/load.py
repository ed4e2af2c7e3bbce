"""Counters of one ingress process, and the caps that are held by them."""

from collections import Counter
from dataclasses import dataclass, field

from edge.trusted_networks import one_peer
from mail.histogram import Histogram
from smtp.server.config import SmtpConfig


@dataclass(slots=True, kw_only=True)
class SmtpStats:
    """Plain numbers; whoever exposes metrics reads them."""

    connections: int = 0  # open now
    connections_total: int = 0
    turned_away_total: int = 0  # connections refused by a cap
    bad_proxy_headers_total: int = 0  # connections from a trusted proxy closed for want of one
    tls_total: int = 0
    accepted_total: int = 0  # mails that got 250
    accepted_bytes_total: int = 0  # with their trace headers
    refused_total: Counter[str] = field(default_factory=Counter)  # by "550 5.1.1"
    accept_times: Histogram = field(default_factory=Histogram)  # first byte of DATA to the 250
    data_in_progress: int = 0
    held_bytes: int = 0  # memory that mails under way hold


class ConnectionLoad:
    """Who may connect."""

    def __init__(self, config: SmtpConfig, stats: SmtpStats) -> None:
        self._config = config
        self._stats = stats
        self._peers: Counter[str] = Counter()

    def enter(self, client: str | None) -> bool:
        """False: a cap is reached. After True, `leave` must follow exactly once.

        None: a trusted proxy has not said yet whose connection it brings; `settle` follows.
        """
        if self._stats.connections >= self._config.connections_max or not self.settle(client):
            self._stats.turned_away_total += 1
            return False
        self._stats.connections += 1
        self._stats.connections_total += 1
        return True

    def settle(self, client: str | None) -> bool:
        """Count a connection as `client`'s. False: he has too many, and nothing is counted."""
        if client is None:
            return True
        peer = one_peer(client)
        if self._peers[peer] >= self._config.connections_per_peer_max:
            return False
        self._peers[peer] += 1
        return True

    def leave(self, client: str | None) -> None:
        self._stats.connections -= 1
        if client is None:
            return
        peer = one_peer(client)
        self._peers[peer] -= 1
        if self._peers[peer] <= 0:
            del self._peers[peer]
