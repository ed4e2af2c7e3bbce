"""Hold: repeat a step while its engine does not answer, without a limit.

One exception: an engine that keeps serving other events, and fails for this event alone, is not
unreachable. Such an event is Unreadable, which is Poison. Transient.served_s says when the engine
last served another event.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from mail.errors import Poison, Transient
from streams.config import StreamsConfig
from streams.worker.attempt import EventAttempt
from streams.worker.status import RoleStatus, WorkerSlot

log = logging.getLogger(__name__)
T = TypeVar("T")
Action = Callable[[], Awaitable[T]]


class Unreadable(Poison):
    """An engine that serves other events fails for this event alone."""

    def __init__(self, failures: int, since_s: float, cause: Transient) -> None:
        super().__init__(
            f"failed {failures} times in {since_s:.0f} s while other events were served: {cause}"
        )


@dataclass(slots=True)
class _Failures:
    """Failures of one event at one engine."""

    engine: str
    first_s: float  # monotonic
    last_s: float  # monotonic
    between_successes: int = 0  # failures before which the engine had served another event

    @classmethod
    def first(cls, cause: Transient) -> "_Failures":
        now_s = time.monotonic()
        return cls(cause.engine, now_s, now_s)

    def add(self, cause: Transient) -> None:
        if cause.served_s > self.last_s:
            self.between_successes += 1
        self.last_s = time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The held events of one stage."""

    config: StreamsConfig
    status: RoleStatus
    _retry_signals: dict[str, asyncio.Event] = field(default_factory=dict)  # by engine

    async def result(self, slot: WorkerSlot, attempt: EventAttempt, action: Action[T]) -> T:
        """Return the result of `action`, once its engine answers.

        Raises Unreadable, and any error of `action` that is not Transient.
        """
        try:
            return await action()
        except Transient as first:
            cause = _without_traceback(first)
        try:
            return await self._repeated(slot, attempt, action, cause)
        finally:
            self.status.release(slot, attempt.position.offset)

    def wake_all(self) -> None:
        """Repeat the step of every held event at once."""
        for engine in list(self._retry_signals):
            self._wake(engine)

    async def _repeated(
        self, slot: WorkerSlot, attempt: EventAttempt, action: Action[T], cause: Transient
    ) -> T:
        delay_s = self.config.hold_first_s
        failures = _Failures.first(cause)
        while True:
            if self.status.hold(slot, attempt.position.offset, cause):
                log.warning("%s holds partition %d: %s", *slot[::2], cause)
            self.status.count(slot[0], "held")
            await self._pause(cause.engine, delay_s)
            delay_s = min(delay_s * 2, self.config.hold_cap_s)
            try:
                result = await action()
            except Transient as error:
                cause = _without_traceback(error)
            else:
                self._wake(cause.engine)
                return result
            if cause.engine != failures.engine:
                failures = _Failures.first(cause)
            failures.add(cause)
            self._check_readable(failures, attempt, cause)

    def _check_readable(self, failures: _Failures, attempt: EventAttempt, cause: Transient) -> None:
        """Raise Unreadable if the engine fails for this event alone.

        A journalled command waits without a limit.
        """
        lasted_s = failures.last_s - failures.first_s
        if (
            failures.between_successes >= self.config.unreadable_tries
            and lasted_s >= self.config.unreadable_s
            and not attempt.is_journalled
        ):
            raise Unreadable(failures.between_successes, lasted_s, cause)

    async def _pause(self, engine: str, delay_s: float) -> None:
        """Wait `delay_s`, or until `engine` has served another held event."""
        signal = self._retry_signals.setdefault(engine, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await signal.wait()

    def _wake(self, engine: str) -> None:
        if (signal := self._retry_signals.pop(engine, None)) is not None:
            signal.set()


def _without_traceback(cause: Transient) -> Transient:
    """Remove the traceback: its frames would keep the mail in memory while the event waits."""
    cause.__traceback__ = cause.__cause__ = cause.__context__ = None
    return cause
