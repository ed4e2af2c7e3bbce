"""Connection limits of one server process: a cap in total and a cap per peer."""

from collections import Counter

from edge.trusted_networks import one_peer


class ConnectionLimiter:
    """Counts of open connections, held to `total_max` in total and to `per_peer_max` of one peer.

    A peer is an IPv4 address or an IPv6 /64. A connection from a trusted proxy has no peer and
    counts in total only. A server that knows the client behind the proxy counts that client by
    `acquire` and `release`.
    """

    def __init__(self, *, total_max: int, per_peer_max: int) -> None:
        self.open = 0  # connections now
        self.opened_total = 0
        self.refused_total = 0  # connections and requests beyond a cap
        self._total_max = total_max
        self._per_peer_max = per_peer_max
        self._of_peer: Counter[str] = Counter()

    def connect(self, address: str | None) -> bool:
        """Count a connection from `address`; False when a cap is reached.

        After True, `disconnect` must follow exactly once.
        """
        if self.open >= self._total_max:
            self.refused_total += 1
            return False
        if address is not None and not self.acquire(address):
            return False
        self.open += 1
        self.opened_total += 1
        return True

    def disconnect(self, address: str | None) -> None:
        """Uncount a connection, and release its `address` if it has one."""
        self.open -= 1
        if address is not None:
            self.release(address)

    def acquire(self, address: str) -> bool:
        """Count a connection or a request for the peer of `address`; False at the peer's cap.

        After True, `release` must follow exactly once.
        """
        peer = one_peer(address)
        if self._of_peer[peer] >= self._per_peer_max:
            self.refused_total += 1
            return False
        self._of_peer[peer] += 1
        return True

    def release(self, address: str) -> None:
        """Uncount what `acquire` counted. A peer without connections is forgotten."""
        peer = one_peer(address)
        self._of_peer[peer] -= 1
        if self._of_peer[peer] <= 0:
            del self._of_peer[peer]
