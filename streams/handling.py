"""One event from arrival to its acknowledgement: every outcome, and what is done about it.

done: outputs published and acknowledged, then the event is. Transient: hold, as long as it takes.
Poison and undecodable: dead letters, bytes unchanged. Unexpected: bounded tries, then dead letters.
Fatal: it leaves `handle`, the window closes, the process ends.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from mail.errors import Fatal, Poison, Transient
from schemas.events import Event, Position
from schemas.mail import Hop
from schemas.records import DeadLetter
from streams.codec import decode_of
from streams.config import StreamsConfig
from streams.dead_letters import RawPublisher, park
from streams.status import RoleStatus, now_ms
from streams.topology import DEAD_LETTERS, Stage, Topic

log = logging.getLogger(__name__)
T = TypeVar("T")

Handler = Callable[[Any, "Try", Any], Awaitable[Sequence[Event]]]


class River(RawPublisher, Protocol):
    """What the harness publishes through."""

    async def publish(self, *events: Event) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A record as it came."""

    partition: int
    offset: int
    key: bytes
    value: bytes


class Try:
    """One try at one event: implements mail.ports.Work."""

    def __init__(self, *, stage: str, worker: str, position: Position, attempt: int) -> None:
        self.position = position
        self.attempt = attempt
        self._stage = stage
        self._worker = worker
        self._started_at_ms = now_ms()
        self._started_s = time.monotonic()
        self._after: list[Callable[[], None]] = []

    def hop(self, verdict: str) -> Hop:
        """The hop of this stage so far."""
        return Hop(
            stage=self._stage,
            started_at_ms=self._started_at_ms,
            took_ms=round((time.monotonic() - self._started_s) * 1000, 3),
            verdict=verdict,
            attempt=self.attempt,
            worker=self._worker,
        )

    def after_publish(self, then: Callable[[], None]) -> None:
        self._after.append(then)

    def published(self) -> None:
        """The outputs are acknowledged."""
        for then in self._after:
            then()

    @property
    def took_s(self) -> float:
        return time.monotonic() - self._started_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """A stage's handler with all that surrounds it; one for each stage of a worker."""

    stage: Stage
    topic: Topic
    handler: Handler
    ports: Any
    river: River
    config: StreamsConfig
    status: RoleStatus
    epoch: str
    dead_letters: str = DEAD_LETTERS

    async def handle(self, arrival: Arrival, still_ours: Callable[[], bool]) -> None:
        """Returns when the event may be acknowledged."""
        try:
            event = decode_of(self.topic, arrival.offset, arrival.value)
            await self._done(event, arrival, still_ours)
        except Poison as error:
            await self._park(arrival, repr(error), 1)
        finally:
            self.status.release(self._slot(arrival), arrival.offset)

    async def _done(self, event: Event, arrival: Arrival, still_ours: Callable[[], bool]) -> None:
        outcome = await self._outputs(event, arrival)
        if outcome is None:
            return
        work, outputs = outcome
        await self._hold(arrival, lambda: self.river.publish(*outputs))
        if still_ours():
            work.published()
        self.status.count(self.stage.name, "done")
        self.status.seconds[self.stage.name] += work.took_s

    async def _outputs(self, event: Event, arrival: Arrival) -> tuple[Try, Sequence[Event]] | None:
        """The handler's outputs; None: it failed unexpectedly too often, and was parked."""
        attempt = failures = holds = 0
        while True:
            attempt += 1
            work = self._try(arrival, attempt)
            try:
                return work, await self.handler(event, work, self.ports)
            except Transient as error:
                await self._wait(arrival, error, holds)
                holds += 1
            except (Poison, Fatal):
                raise
            except Exception as error:
                failures += 1
                log.exception("%s failed at %s, try %d", self.stage.name, arrival.offset, attempt)
                self.status.count(self.stage.name, "retried")
                if failures >= self.config.unexpected_tries:
                    await self._park(arrival, repr(error), attempt)
                    return None
                await asyncio.sleep(self.config.unexpected_first_s * 2 ** (failures - 1))

    async def _hold(self, arrival: Arrival, act: Callable[[], Awaitable[T]]) -> T:
        """`act`, again and again while its engine does not answer."""
        holds = 0
        while True:
            try:
                return await act()
            except Transient as error:
                await self._wait(arrival, error, holds)
                holds += 1

    async def _wait(self, arrival: Arrival, cause: Transient, holds: int) -> None:
        if holds == 0:
            log.warning("%s holds %s: %s", self.stage.name, self._slot(arrival), cause)
        self.status.hold(self._slot(arrival), arrival.offset, cause)
        self.status.count(self.stage.name, "held")
        delay_s = self.config.hold_first_s * 2 ** min(holds, 16)
        await asyncio.sleep(min(delay_s, self.config.hold_cap_s))

    async def _park(self, arrival: Arrival, cause: str, attempt: int) -> None:
        letter = DeadLetter(
            topic=self.topic.name,
            partition=arrival.partition,
            offset=arrival.offset,
            stage=self.stage.name,
            cause=cause,
            attempt=attempt,
            at_ms=now_ms(),
            key=arrival.key,
            value=arrival.value,
        )
        await self._hold(arrival, lambda: park(self.river, letter, topic=self.dead_letters))
        self.status.count(self.stage.name, "parked")
        log.error(
            "%s parked %s: %s", self.stage.name, (*self._slot(arrival)[1:], arrival.offset), cause
        )

    def _try(self, arrival: Arrival, attempt: int) -> Try:
        return Try(
            stage=self.stage.name,
            worker=self.config.worker,
            position=Position(self.epoch, arrival.partition, arrival.offset),
            attempt=attempt,
        )

    def _slot(self, arrival: Arrival) -> tuple[str, str, int]:
        return self.stage.name, self.topic.name, arrival.partition
