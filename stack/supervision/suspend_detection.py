"""Detection of a suspended supervisor: laptop lid, paused machine, SIGSTOP."""

from collections.abc import Callable

from stack.supervision.probes import PROBE_TIMEOUT_S

ASLEEP_S = 5.0  # a round this much too late: the watcher was suspended
WAKING_S = 30.0  # failed checks do not count for so long: connections are re-established


class SuspendDetector:
    """Detect that the supervisor was suspended together with the watched processes.

    A missed health check then does not count as a failure. A round is a pause and at most two
    probes; a longer round includes the suspension.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._round_s = now_s()
        self._awake_from_s = float("-inf")

    def missed_s(self, pause_s: float) -> float:
        """Return the seconds suspended in the round that ends now; 0 for a usual round."""
        began_s, self._round_s = self._round_s, self._now_s()
        missed_s = self._round_s - began_s - pause_s - 2 * PROBE_TIMEOUT_S
        if missed_s < ASLEEP_S:
            return 0.0
        self._awake_from_s = self._round_s
        return missed_s

    @property
    def waking(self) -> bool:
        """Whether a suspension ended less than WAKING_S ago."""
        return self._now_s() - self._awake_from_s < WAKING_S
