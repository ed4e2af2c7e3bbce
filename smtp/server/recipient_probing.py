"""Limit of recipient probing: how many 550 a peer may get at RCPT.

Beyond the limit every RCPT is answered by 421, for known and unknown recipients alike, so that the
reply reveals nothing. Each ingress process counts on its own, in memory.
"""

from edge.sliding_window import SlidingSums
from edge.trusted_networks import one_peer
from smtp.server.config import SmtpConfig

WINDOW_S = 3600.0


class RecipientProbing:
    """550 replies to RCPT by peer. Trusted networks have no limit."""

    def __init__(self, config: SmtpConfig) -> None:
        self._config = config
        self._peers = SlidingSums(window_s=WINDOW_S)

    def ended(self, client: str, refused: int) -> bool:
        """Whether `client` is at its limit, after `refused` replies 550 in this connection."""
        config = self._config
        if client in config.trusted:
            return False
        if refused >= config.unknown_max:
            return True
        return self._peers.of(one_peer(client)) >= config.unknown_per_peer_max

    def count(self, client: str, refused: int) -> float:
        """Count a 550, number `refused` of its connection; return the delay of its reply, s."""
        if client in self._config.trusted:
            return 0.0
        self._peers.add(one_peer(client))
        return self._config.unknown_delay_s if refused > self._config.unknown_prompt_max else 0.0
