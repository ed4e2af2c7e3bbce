"""Attempts at one event: what its handler sees of the stream (mail.ports.Attempt)."""

import time
from collections.abc import Callable

from mail.clock import now_ms
from mail.ports import Attempt
from schemas.events.mailbox_events import Position
from schemas.mail import Hop


class EventAttempt(Attempt):
    """Implements mail.ports.Attempt; one object for all attempts at one event."""

    position: Position
    origins: tuple[Position, ...]
    attempt: int
    __slots__ = (
        "_after_publish",
        "_beat",
        "_stage",
        "_started_at_ms",
        "_started_s",
        "_worker",
        "attempt",
        "is_journalled",
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
        self.is_journalled = False
        self._beat = beat
        self._stage = stage
        self._worker = worker
        self._started_at_ms = now_ms()
        self._started_s = time.monotonic()
        self._after_publish: list[Callable[[], None]] = []

    def begin(self) -> None:
        """Begin the next attempt; drop the functions that the last one gave to after_publish."""
        self.attempt += 1
        self._after_publish.clear()

    @property
    def took_s(self) -> float:
        """Time since the first attempt began, holds included."""
        return time.monotonic() - self._started_s

    def hop(self, verdict: str) -> Hop:
        """Return the hop of this stage, measured from the first attempt."""
        return Hop(
            stage=self._stage,
            started_at_ms=self._started_at_ms,
            took_ms=round(self.took_s * 1000, 3),
            verdict=verdict,
            attempt=self.attempt,
            worker=self._worker,
        )

    def after_publish(self, then: Callable[[], None]) -> None:
        """Call `then` once this attempt's outputs are acknowledged; it must not block or raise."""
        self._after_publish.append(then)

    def committed(self) -> None:
        """Record that the journal has the command: from now on the event is never parked."""
        self.is_journalled = True

    def beat(self) -> None:
        """Report progress of a long handler, so that it is not taken for stalled."""
        self._beat()

    def published(self) -> None:
        """Call the functions given to after_publish: the outputs are acknowledged."""
        for then in self._after_publish:
            then()
