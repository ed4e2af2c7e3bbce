"""One event under way: what its handler sees of the river (mail.ports.Work)."""

import time
from collections.abc import Callable

from mail.clock import now_ms
from mail.ports import Attempt
from schemas.events.mailbox_events import Position
from schemas.mail import Hop


class EventAttempt(Attempt):
    """Implements mail.ports.Work, for all the tries of one event."""

    position: Position
    origins: tuple[Position, ...]
    attempt: int
    __slots__ = (
        "_beat",
        "_stage",
        "_started_at_ms",
        "_started_s",
        "_then",
        "_worker",
        "attempt",
        "beyond_journal",
        "origins",
        "position",
    )

    def __init__(
        self,
        position: Position,
        *,
        stage: str,
        worker: str,
        origins: tuple[Position, ...] = (),
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self.position = position
        self.origins = origins
        self.attempt = 0
        self.beyond_journal = False
        self._beat = beat
        self._stage = stage
        self._worker = worker
        self._started_at_ms = now_ms()
        self._started_s = time.monotonic()
        self._then: list[Callable[[], None]] = []

    def again(self) -> None:
        """Begin the next try: what the last one wanted after its publish is dropped."""
        self.attempt += 1
        self._then.clear()

    @property
    def took_s(self) -> float:
        """Since the first try began, waiting for engines included."""
        return time.monotonic() - self._started_s

    def hop(self, verdict: str) -> Hop:
        """The hop of this stage so far, from its first try on."""
        return Hop(
            stage=self._stage,
            started_at_ms=self._started_at_ms,
            took_ms=round(self.took_s * 1000, 3),
            verdict=verdict,
            attempt=self.attempt,
            worker=self._worker,
        )

    def after_publish(self, then: Callable[[], None]) -> None:
        """Call `then` once this try's outputs are acknowledged; it must not block or fail."""
        self._then.append(then)

    def committed(self) -> None:
        """The journal has the command: from here on it is never parked."""
        self.beyond_journal = True

    def beat(self) -> None:
        """The handler still works, and is not to be taken for stalled."""
        self._beat()

    def published(self) -> None:
        """The outputs are acknowledged."""
        for then in self._then:
            then()
