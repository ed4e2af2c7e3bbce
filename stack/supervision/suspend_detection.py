"""A watcher that was asleep itself: a laptop's lid, a paused machine, a stopped process."""

from collections.abc import Callable

from stack.supervision.probes import PROBE_TIMEOUT_S

ASLEEP_S = 5.0  # a watcher so much later than it can be was frozen itself
WAKING_S = 30.0  # after that nobody is judged for so long: all have connections to mend


class SuspendDetector:
    """Tells a watcher that it was frozen together with all it watches, so that nobody is to blame.

    A round is a pause and at most two probes; what it took beyond that was spent asleep.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._round_s = now_s()
        self._awake_from_s = float("-inf")

    def missed_s(self, pause_s: float) -> float:
        """Seconds asleep in the round that ends now; 0 when it went as rounds do."""
        began_s, self._round_s = self._round_s, self._now_s()
        missed_s = self._round_s - began_s - pause_s - 2 * PROBE_TIMEOUT_S
        if missed_s < ASLEEP_S:
            return 0.0
        self._awake_from_s = self._round_s
        return missed_s

    @property
    def waking(self) -> bool:
        """Whether the last sleep ended a moment ago."""
        return self._now_s() - self._awake_from_s < WAKING_S
