"""Unreachable destinations: their mails are deferred for a while without a connection.

Without this, a long queue for servers that do not answer would occupy the connections for minutes
each, which other destinations need. Kept in memory: after a restart every destination is tried.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from mail.ports.mail_transport import RecipientOutcome

PAUSE_S = 60.0
KEPT_MAX = 10_000  # destinations


class Unreachable:
    """The destinations that failed within the last PAUSE_S, and why."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._until: OrderedDict[str, tuple[float, str, str]] = OrderedDict()

    def add(self, destination: str, outcome: RecipientOutcome) -> None:
        """Pause a destination for `outcome`, unless it is paused already."""
        if self.reason(destination) is None:
            until_s = self._clock_s() + PAUSE_S
            self._until[destination] = (until_s, outcome.status, outcome.text)
        while len(self._until) > KEPT_MAX:
            self._until.popitem(last=False)

    def discard(self, destination: str) -> None:
        self._until.pop(destination, None)

    def reason(self, destination: str) -> tuple[str, str] | None:
        """Status code and text if the destination is paused; None: try it."""
        until_s, status, text = self._until.get(destination, (0.0, "", ""))
        if until_s > self._clock_s():
            return status, f"Not tried, because an attempt just before failed: {text}"
        self._until.pop(destination, None)
        return None
