"""The hold: a step is repeated while its engine does not answer, for as long as it takes.

One exception: an engine that serves others, and never this event, is not away. Such an event is
unreadable, and Poison. An engine says when it last served another: Transient.served_s.
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
    """An engine that serves others fails for this event alone."""

    def __init__(self, tries: int, since_s: float, cause: Transient) -> None:
        super().__init__(f"failed {tries} times in {since_s:.0f} s beside others: {cause}")


@dataclass(slots=True)
class _Failures:
    """Failures of one event by one engine."""

    engine: str
    began_s: float
    last_s: float
    beside_others: int = 0  # before how many of them the engine had served another event

    def add(self, cause: Transient) -> None:
        if cause.served_s > self.last_s:
            self.beside_others += 1
        self.last_s = time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Holds of one stage."""

    config: StreamsConfig
    status: RoleStatus
    _bells: dict[str, asyncio.Event] = field(default_factory=dict)

    async def answered(self, slot: WorkerSlot, work: EventAttempt, act: Action[T]) -> T:
        """The result of `act`, once its engine answers. Unreadable, and what else `act` raises."""
        try:
            return await act()
        except Transient as first:
            cause = _bare(first)
        try:
            return await self._held(slot, work, act, cause)
        finally:
            self.status.release(slot, work.position.offset)

    def wake_all(self) -> None:
        """Try at once whatever waits."""
        for engine in list(self._bells):
            self._ring(engine)

    async def _held(
        self, slot: WorkerSlot, work: EventAttempt, act: Action[T], cause: Transient
    ) -> T:
        delay_s = self.config.hold_first_s
        failures = _begun(cause)
        while True:
            if self.status.hold(slot, work.position.offset, cause):
                log.warning("%s holds partition %d: %s", *slot[::2], cause)
            self.status.count(slot[0], "held")
            await self._pause(cause.engine, delay_s)
            delay_s = min(delay_s * 2, self.config.hold_cap_s)
            try:
                result = await act()
            except Transient as again:
                cause = _bare(again)
            else:
                self._ring(cause.engine)
                return result
            if cause.engine != failures.engine:
                failures = _begun(cause)
            failures.add(cause)
            self._judge(failures, work, cause)

    def _judge(self, failures: _Failures, work: EventAttempt, cause: Transient) -> None:
        """Unreadable. Beyond the journal an event waits for ever."""
        lasted_s = failures.last_s - failures.began_s
        if (
            failures.beside_others >= self.config.unreadable_tries
            and lasted_s >= self.config.unreadable_s
            and not work.beyond_journal
        ):
            raise Unreadable(failures.beside_others, lasted_s, cause)

    async def _pause(self, engine: str, delay_s: float) -> None:
        """Wait `delay_s`, or until another event was served by `engine`."""
        bell = self._bells.setdefault(engine, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await bell.wait()

    def _ring(self, engine: str) -> None:
        if (bell := self._bells.pop(engine, None)) is not None:
            bell.set()


def _begun(cause: Transient) -> _Failures:
    now_s = time.monotonic()
    return _Failures(cause.engine, now_s, now_s)


def _bare(cause: Transient) -> Transient:
    """Without the frames that it came through: they would keep a mail in memory while it waits."""
    cause.__traceback__ = cause.__cause__ = cause.__context__ = None
    return cause
