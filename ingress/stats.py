"""Counters of one ingress process, and the caps that are held by them."""

import ipaddress
from collections import Counter
from dataclasses import dataclass, field

from ingress.config import SmtpConfig


@dataclass(slots=True, kw_only=True)
class Stats:
    """Plain numbers; whoever exposes metrics reads them."""

    connections: int = 0  # open now
    connections_total: int = 0
    turned_away_total: int = 0  # connections refused by a cap
    tls_total: int = 0
    accepted_total: int = 0  # mails that got 250
    accepted_bytes_total: int = 0  # with their trace headers
    refused_total: Counter[str] = field(default_factory=Counter)  # by "550 5.1.1"
    data_in_progress: int = 0
    held_bytes: int = 0  # memory that mails under way hold


class Load:
    """Who may connect, and how much may be under way at once."""

    def __init__(self, config: SmtpConfig, stats: Stats) -> None:
        self._config = config
        self._stats = stats
        self._peers: Counter[str] = Counter()

    def enter(self, client: str) -> bool:
        """False: a cap is reached. After True, `leave` must follow exactly once."""
        network = _network(client)
        full = self._stats.connections >= self._config.connections_max
        if full or self._peers[network] >= self._config.connections_per_peer_max:
            self._stats.turned_away_total += 1
            return False
        self._peers[network] += 1
        self._stats.connections += 1
        self._stats.connections_total += 1
        return True

    def leave(self, client: str) -> None:
        network = _network(client)
        self._peers[network] -= 1
        if self._peers[network] <= 0:
            del self._peers[network]
        self._stats.connections -= 1

    def begin_data(self) -> bool:
        """False: enough mails, or enough bytes, are under way. After True: `end_data` once."""
        if self._stats.data_in_progress >= self._config.data_max:
            return False
        if self._stats.held_bytes >= self._config.held_max_bytes:
            return False
        self._stats.data_in_progress += 1
        return True

    def end_data(self, held_bytes: int) -> None:
        """One mail less; `held_bytes` is what it took by `hold`."""
        self._stats.data_in_progress -= 1
        self._stats.held_bytes -= held_bytes

    def hold(self, more_bytes: int) -> bool:
        """Take more memory for a mail; False, and nothing taken, when there is no more."""
        if self._stats.held_bytes + more_bytes > self._config.held_max_bytes:
            return False
        self._stats.held_bytes += more_bytes
        return True


def _network(client: str) -> str:
    """What one peer is: an IPv4 address, or an IPv6 /64, since a host owns a whole one."""
    if ":" not in client:
        return client
    try:
        address = ipaddress.IPv6Address(client.partition("%")[0])
    except ValueError:
        return client
    return str(int(address) >> 64)
