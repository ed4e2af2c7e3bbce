"""What becomes of an event, so that no mail is lost whatever its handler does.

    done        outputs published, acknowledged by the broker; then the event is acknowledged
    Transient   hold: the same try again, after 0.1 s doubling to 5 s, for as long as it takes; the
                process goes on polling and heartbeating, status says which engine since when
    Poison      parked unchanged in dead letters, that write acknowledged; then acknowledged
    anything    unexpected: five tries within 60 s, then as Poison
    Fatal       leaves `handle`; the window closes, the process ends, nothing is acknowledged

A publish in doubt holds like any engine, and is repeated without the handler. As soon as one event
that waited for an engine is served, all that wait for that engine are tried at once.
An event that ended the process while it was tried alone (streams/worker/attempt_notes.py), and one
that an operator wants set aside (streams/dead_letters/set_aside.py), is Poison before it is tried.
Before an event is parked its stage may have something better (`instead`). Beyond its journal a
command is never parked: what would be Poison or unexpected holds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from mail.clock import now_ms
from mail.errors import EndsProcess, Fatal, Poison, PostriverError, SetAside, Transient
from schemas.dead_letters import DeadLetter
from schemas.events.mailbox_events import Position
from schemas.events.unions import Event
from streams.codec import decode_of
from streams.config import StreamsConfig
from streams.dead_letters.parking import RawPublisher, park
from streams.dead_letters.set_aside import ParkRequests, RecordPosition
from streams.origin_header import origins_in
from streams.topology import DEAD_LETTERS, Stage, Topic
from streams.worker.attempt import EventAttempt
from streams.worker.attempt_notes import AttemptNotes, stamp_of
from streams.worker.attempt_turns import AttemptTurns
from streams.worker.hold import Action, Hold
from streams.worker.status import RoleStatus

log = logging.getLogger(__name__)
T = TypeVar("T")

Handler = Callable[[Any, EventAttempt, Any], Awaitable[Sequence[Event]]]
Instead = Callable[[Any, EventAttempt, Any, Poison], Awaitable[Sequence[Event] | None]]


class EventPublisher(RawPublisher, Protocol):
    """What the harness publishes through; streams.publisher.KafkaPublisher."""

    async def publish(self, *events: Event) -> None: ...


class BeyondJournal(Transient):
    """A command that its journal has failed in an unforeseen way: it is tried without end."""

    def __init__(self, stage: str, cause: Exception) -> None:
        super().__init__(stage, f"beyond the journal, never parked: {cause!r}")


class GaveUp(Poison):
    """An event that failed in a way nobody foresaw, as often as we try."""

    def __init__(self, tries: int, cause: BaseException) -> None:
        super().__init__(f"{tries} tries failed, the last by {cause!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedEvent:
    """A record as it came."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHandling:
    """A stage's handler with all that surrounds it; one for each stage of a worker."""

    stage: Stage
    topic: Topic
    handler: Handler
    ports: Any
    river: EventPublisher
    config: StreamsConfig
    status: RoleStatus
    epoch: str
    instead: Instead | None = None  # asked before an event is parked
    dead_letters: str = DEAD_LETTERS
    alone: AttemptTurns = field(default_factory=AttemptTurns)  # one for all stages of a process
    requests: ParkRequests = field(default_factory=lambda: ParkRequests(None))
    _notes: dict[int, AttemptNotes] = field(default_factory=dict)
    _holding: Hold = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_holding", Hold(config=self.config, status=self.status))

    async def handle(self, arrival: ReceivedEvent, still_ours: Callable[[], bool]) -> None:
        """Return when the event may be acknowledged; raise only what must end the process."""
        work = self._work(arrival)
        event = None
        try:
            event = decode_of(self.topic, arrival.offset, arrival.value)
            outputs = await self._outputs(event, arrival, work)
            if outputs:
                await self._answered(work, lambda: self._send(outputs, work))
        except Poison as cause:
            if not await self._spared(event, work, cause):
                await self._park(arrival, work, cause)
        else:
            if still_ours():
                work.published()
            accepted_at_ms = getattr(event, "received_at_ms", None)
            self.status.done(self.stage.name, work.took_s, accepted_at_ms=accepted_at_ms)
        self._settle(arrival)

    def wake(self) -> None:
        """Try at once whatever waits for an engine; it may have been asked to be set aside."""
        self._holding.wake_all()

    def forget(self, partition: int) -> None:
        """The partition is ours no more, and nothing of it runs."""
        if (notes := self._notes.pop(partition, None)) is not None:
            notes.close()

    def _work(self, arrival: ReceivedEvent) -> EventAttempt:
        part = (self.topic.name, arrival.partition)
        return EventAttempt(
            Position(self.epoch, arrival.partition, arrival.offset),
            stage=self.stage.name,
            worker=self.config.worker,
            origins=origins_in(arrival.headers),
            beat=lambda: self.status.moves(part),
        )

    def _noted(self, partition: int) -> AttemptNotes:
        notes = self._notes.get(partition)
        if notes is None:
            folder = self.config.notes_folder
            path = folder and folder / f"{self.topic.name}-{partition}"
            notes = self._notes[partition] = AttemptNotes(path, stamp_of(self.epoch))
        return notes

    def _settle(self, arrival: ReceivedEvent) -> None:
        """The event is handled or parked: whatever was suspected of it ends."""
        notes = self._notes.get(arrival.partition)
        if notes is not None and (notes.suspects or notes.guilty):
            notes.end(arrival.offset, handled=True)

    async def _outputs(
        self, event: Event, arrival: ReceivedEvent, work: EventAttempt
    ) -> tuple[Event, ...]:
        """The handler's outputs. Poison, GaveUp, Fatal."""
        delay_s = self.config.unexpected_first_s
        failures = 0
        while True:
            try:
                return await self._answered(work, lambda: self._call(event, arrival, work))
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

    async def _call(
        self, event: Event, arrival: ReceivedEvent, work: EventAttempt
    ) -> tuple[Event, ...]:
        """One try of the handler, noted. SetAside, EndsProcess: it shall not be tried."""
        notes, offset = self._noted(arrival.partition), arrival.offset
        if self.requests and not work.beyond_journal and self._is_unwanted(work):
            raise SetAside
        if offset in notes.guilty:
            raise EndsProcess
        work.again()
        alone = offset in notes.suspects
        if not alone and self.alone.is_open:
            self.alone.begin_now()
        else:
            await self.alone.begin(alone=alone)
        notes.begin(offset, len(arrival.value), alone=alone)
        try:
            return tuple(await self.handler(event, work, self.ports))
        except (Transient, Fatal):
            raise
        except asyncio.CancelledError as cause:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            error = RuntimeError("the handler was cancelled from within")
            raise self._beyond(work, error) or error from cause
        except Exception as cause:
            if (beyond := self._beyond(work, cause)) is None:
                raise
            raise beyond from None
        finally:
            notes.end(offset, handled=False)
            self.alone.end(alone=alone)

    async def _send(self, outputs: Sequence[Event], work: EventAttempt) -> None:
        try:
            await self.river.publish(*outputs)
        except (Transient, Fatal):
            raise
        except Exception as cause:
            if (beyond := self._beyond(work, cause)) is None:
                raise
            raise beyond from None

    def _beyond(self, work: EventAttempt, cause: Exception) -> Exception | None:
        """What is raised for `cause` once the journal has the command; before it, None."""
        if not work.beyond_journal:
            return None
        self._tell_unexpected(work, cause)
        return BeyondJournal(self.stage.name, cause)

    def _is_unwanted(self, work: EventAttempt) -> bool:
        return self.requests.wants(self._place(work), self.epoch)

    async def _spared(self, event: Event | None, work: EventAttempt, cause: Poison) -> bool:
        """Whether the stage had something better for the event than to be parked; it is out."""
        instead = self.instead
        if instead is None or event is None:
            return False
        try:
            outputs = await self._answered(work, lambda: instead(event, work, self.ports, cause))
            if outputs is None:
                return False
            await self._answered(work, lambda: self.river.publish(*outputs))
        except Fatal:
            raise
        except Exception as error:  # noqa: BLE001  (then it is parked)
            self._tell_unexpected(work, error)
            return False
        self.requests.parked(self._place(work))
        self.status.done(self.stage.name, work.took_s)
        log.error("%s did not park %s: %s", self.stage.name, self._place(work), cause)
        return True

    async def _answered(self, work: EventAttempt, act: Action[T]) -> T:
        """The result of `act`, repeated while its engine does not answer."""
        return await self._holding.answered(self._slot(work), work, act)

    async def _park(self, arrival: ReceivedEvent, work: EventAttempt, cause: Poison) -> None:
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
        self.requests.parked(self._place(work))
        log.error("%s parked %s: %s", self.stage.name, self._place(work), cause)

    def _tell_unexpected(self, work: EventAttempt, cause: Exception) -> None:
        trace = None if isinstance(cause, PostriverError) else cause  # ours say what is wrong
        log.error(
            "%s failed at %s, try %d: %r",
            self.stage.name,
            self._place(work),
            work.attempt,
            cause,
            exc_info=trace,
        )

    def _slot(self, work: EventAttempt) -> tuple[str, str, int]:
        return self.stage.name, self.topic.name, work.position.partition

    def _place(self, work: EventAttempt) -> RecordPosition:
        return RecordPosition(self.topic.name, work.position.partition, work.position.offset)
