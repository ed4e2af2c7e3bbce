"""What becomes of an event, so that no mail is lost whatever its handler does.

    done        outputs published, acknowledged by the broker; then the event is acknowledged
    Transient   hold: the same try again, after 0.1 s doubling to 5 s, for as long as it takes; the
                process goes on polling and heartbeating, status says which engine since when
    Poison      parked unchanged in dead letters, that write acknowledged; then acknowledged
    anything    unexpected: five tries within 60 s, then as Poison
    Fatal       leaves `handle`; the window closes, the process ends, nothing is acknowledged

A publish in doubt holds like any engine, and is repeated without the handler. As soon as one event
that waited for an engine is served, all that wait for that engine are tried at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from mail.errors import Fatal, Poison, PostriverError, Transient
from mail.times import now_ms
from schemas.events import Event, Position
from schemas.records import DeadLetter
from streams.codec import decode_of
from streams.config import StreamsConfig
from streams.dead_letters import RawPublisher, park
from streams.origins import origins_in
from streams.status import RoleStatus
from streams.topology import DEAD_LETTERS, Stage, Topic
from streams.work import Try

log = logging.getLogger(__name__)
T = TypeVar("T")

Handler = Callable[[Any, Try, Any], Awaitable[Sequence[Event]]]


class River(RawPublisher, Protocol):
    """What the harness publishes through; streams.publisher.KafkaPublisher."""

    async def publish(self, *events: Event) -> None: ...


class GaveUp(Poison):
    """An event that failed in a way nobody foresaw, as often as we try."""

    def __init__(self, tries: int, cause: BaseException) -> None:
        super().__init__(f"{tries} tries failed, the last by {cause!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A record as it came."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


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
    _bells: dict[str, asyncio.Event] = field(default_factory=dict)

    async def handle(self, arrival: Arrival, still_ours: Callable[[], bool]) -> None:
        """Return when the event may be acknowledged; raise only what must end the process."""
        position = Position(self.epoch, arrival.partition, arrival.offset)
        work = Try(
            position,
            stage=self.stage.name,
            worker=self.config.worker,
            origins=origins_in(arrival.headers),
        )
        try:
            event = decode_of(self.topic, arrival.offset, arrival.value)
            outputs = await self._outputs(event, work)
            if outputs:
                await self._answered(work, lambda: self.river.publish(*outputs))
        except Poison as cause:
            await self._park(arrival, work, cause)
        else:
            if still_ours():
                work.published()
            accepted_at_ms = getattr(event, "received_at_ms", None)
            self.status.done(self.stage.name, work.took_s, accepted_at_ms=accepted_at_ms)

    async def _outputs(self, event: Event, work: Try) -> tuple[Event, ...]:
        """The handler's outputs. Poison, GaveUp, Fatal."""
        delay_s = self.config.unexpected_first_s
        failures = 0
        while True:
            try:
                return await self._answered(work, lambda: self._call(event, work))
            except (Poison, Fatal):
                raise
            except Exception as cause:
                failures += 1
                self._tell_unexpected(work, cause)
                if failures >= self.config.unexpected_tries:
                    raise GaveUp(failures, cause) from cause
            self.status.count(self.stage.name, "retried")
            await asyncio.sleep(delay_s)
            delay_s *= 2

    async def _call(self, event: Event, work: Try) -> tuple[Event, ...]:
        work.again()
        try:
            return tuple(await self.handler(event, work, self.ports))
        except asyncio.CancelledError as cause:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise RuntimeError("the handler was cancelled from within") from cause

    async def _answered(self, work: Try, act: Callable[[], Awaitable[T]]) -> T:
        """The result of `act`, repeated while its engine does not answer: the hold."""
        try:
            return await act()
        except Transient as first:
            cause = _bare(first)
        try:
            return await self._held(work, act, cause)
        finally:
            self.status.release(self._slot(work), work.position.offset)

    async def _held(self, work: Try, act: Callable[[], Awaitable[T]], cause: Transient) -> T:
        delay_s = self.config.hold_first_s
        while True:
            if self.status.hold(self._slot(work), work.position.offset, cause):
                log.warning("%s holds partition %d: %s", *self._slot(work)[::2], cause)
            self.status.count(self.stage.name, "held")
            await self._pause(cause.engine, delay_s)
            delay_s = min(delay_s * 2, self.config.hold_cap_s)
            try:
                result = await act()
            except Transient as again:
                cause = _bare(again)
            else:
                self._ring(cause.engine)
                return result

    async def _pause(self, engine: str, delay_s: float) -> None:
        """Wait `delay_s`, or until another event was served by `engine`."""
        bell = self._bells.setdefault(engine, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await bell.wait()

    def _ring(self, engine: str) -> None:
        if (bell := self._bells.pop(engine, None)) is not None:
            bell.set()

    async def _park(self, arrival: Arrival, work: Try, cause: Poison) -> None:
        letter = DeadLetter(
            topic=self.topic.name,
            partition=arrival.partition,
            offset=arrival.offset,
            stage=self.stage.name,
            cause=f"{type(cause).__name__}: {cause}",
            attempt=max(work.attempt, 1),
            at_ms=now_ms(),
            key=arrival.key,
            value=arrival.value,
        )
        await self._answered(work, lambda: park(self.river, letter, topic=self.dead_letters))
        self.status.count(self.stage.name, "parked")
        log.error("%s parked %s: %s", self.stage.name, self._at(work), cause)

    def _tell_unexpected(self, work: Try, cause: Exception) -> None:
        trace = None if isinstance(cause, PostriverError) else cause  # ours say what is wrong
        log.error(
            "%s failed at %s, try %d: %r",
            self.stage.name,
            self._at(work),
            work.attempt,
            cause,
            exc_info=trace,
        )

    def _slot(self, work: Try) -> tuple[str, str, int]:
        return self.stage.name, self.topic.name, work.position.partition

    def _at(self, work: Try) -> str:
        return f"{self.topic.name}@{work.position.partition}-{work.position.offset}"


def _bare(cause: Transient) -> Transient:
    """Without the frames that it came through: they would keep a mail in memory while it waits."""
    cause.__traceback__ = cause.__cause__ = cause.__context__ = None
    return cause
