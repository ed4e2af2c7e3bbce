"""Event handling: decide what becomes of each event, so that no failure of a handler loses mail.

    success     publish the outputs and wait for the broker; then the event is acknowledged
    Transient   hold: repeat the attempt after 0.1 s, doubling to 5 s, without a limit; the process
                keeps polling and heartbeating, /status names the engine and since when
    Poison      park the unchanged event in dead.letters and wait for the broker; then the event is
                acknowledged
    Fatal       leaves `handle`; the window closes, the process ends, nothing is acknowledged
    any other   unexpected: five attempts within 60 s, then as Poison

A publish in doubt holds as any engine does, and is repeated without calling the handler again. As
soon as one held event is served, all events that wait for the same engine are tried at once.
Two kinds of event are Poison before any attempt: an event that ended the process while no other
event was being handled (streams/worker/attempt_notes.py), and an event that an operator wants set
aside (streams/dead_letters/set_aside.py).
Before an event is parked, its stage may publish something instead (StageHandler).
A command that its journal has is never parked: what would be Poison or unexpected holds.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

from mail.clock import now_ms
from mail.errors import EndsProcess, Fatal, Poison, PostriverError, SetAside, Transient
from schemas.dead_letters import DeadLetter
from schemas.events.mailbox_events import Position
from schemas.events.unions import Event, MailInTransit
from streams.codec import decode_of
from streams.dead_letters.parking import park
from streams.dead_letters.set_aside import RecordPosition
from streams.origin_header import origins_in
from streams.topology import Stage, Topic
from streams.worker.attempt import EventAttempt
from streams.worker.attempt_notes import AttemptNotes, stamp_of
from streams.worker.context import WorkerContext
from streams.worker.hold import Action, Hold
from streams.worker.stage_handler import StageHandler

log = logging.getLogger(__name__)
T = TypeVar("T")


class JournalledCommandFailed(Transient):
    """A command that its journal has failed unexpectedly. It holds until it succeeds."""

    def __init__(self, stage: str, cause: Exception) -> None:
        super().__init__(stage, f"the journal has the command, it is never parked: {cause!r}")


class GaveUp(Poison):
    """Every attempt at an event failed unexpectedly."""

    def __init__(self, failures: int, cause: BaseException) -> None:
        super().__init__(f"{failures} attempts failed, the last by {cause!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedEvent:
    """One record of the stage's topic, not decoded."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHandling:
    """Handles the events of one stage in one worker."""

    stage: Stage
    topic: Topic
    epoch: str  # of the topic
    handler: StageHandler
    worker: WorkerContext
    _notes: dict[int, AttemptNotes] = field(default_factory=dict)  # by partition
    _hold: Hold = field(init=False)

    def __post_init__(self) -> None:
        hold = Hold(config=self.worker.config, status=self.worker.status)
        object.__setattr__(self, "_hold", hold)

    async def handle(self, received: ReceivedEvent, is_current: Callable[[], bool]) -> None:
        """Return when the event may be acknowledged. Raises Fatal: the process must end.

        `is_current`: whether the partition is still assigned to this worker. After a revoke the
        next owner handles the event too, so the functions given to `after_publish` are not called.
        """
        attempt = self._attempt(received)
        event = None
        try:
            event = decode_of(self.topic, received.offset, received.value)
            outputs = await self._outputs(event, received, attempt)
            if outputs:
                await self._held(attempt, lambda: self._publish(outputs, attempt))
        except Poison as cause:
            if not await self._published_instead(event, attempt, cause):
                await self._park(received, attempt, cause)
        else:
            self._done(event, attempt, is_current)
        self._clear_suspicion(received)

    async def handle_together(
        self, received: Sequence[ReceivedEvent], is_current: Callable[[], bool]
    ) -> bool:
        """Handle events of one key and partition at once; return whether all may be acknowledged.

        False after any failure: `handle` each of them, in their order. Raises Fatal.
        """
        try:
            events = [decode_of(self.topic, one.offset, one.value) for one in received]
        except Poison:
            return False
        attempts = [self._attempt(one) for one in received]
        outputs = await self._call_together(events, received, attempts)
        if outputs is None:
            return False
        try:
            await self.worker.publisher.publish(*chain.from_iterable(outputs))
        except Fatal:
            raise
        except Exception as cause:  # noqa: BLE001  (each is published again by itself)
            self._log_unexpected(attempts[0], cause)
            return False
        for event, attempt in zip(events, attempts, strict=True):
            self._done(event, attempt, is_current)
        return True

    async def _call_together(
        self,
        events: Sequence[Event],
        received: Sequence[ReceivedEvent],
        attempts: Sequence[EventAttempt],
    ) -> Sequence[Sequence[Event]] | None:
        """Return the outputs of each event; None: handle them one by one.

        Events that may be to blame for the end of a process are never handled together.
        """
        notes, turns = self._notes_of(received[0].partition), self.worker.turns
        together = self.handler.handle_together
        may_begin = turns.is_open and self.worker.park_requests.is_empty
        if together is None or not may_begin or notes.suspects or notes.guilty:
            return None
        turns.begin_now()
        for one, attempt in zip(received, attempts, strict=True):
            attempt.begin()
            notes.begin(one.offset, len(one.value), alone=False)
        try:
            return await together(events, attempts)
        except Fatal:
            raise
        except Exception as cause:  # noqa: BLE001  (each is handled again by itself)
            self._log_unexpected(attempts[0], cause)
            return None
        finally:
            for one in received:
                notes.end(one.offset, handled=False)
            turns.end(alone=False)

    def wake(self) -> None:
        """Try every held event at once: an operator may have asked to set some of them aside."""
        self._hold.wake_all()

    def forget(self, partition: int) -> None:
        """Close the notes of a revoked partition, once no attempt at its events runs."""
        if (notes := self._notes.pop(partition, None)) is not None:
            notes.close()

    def _done(self, event: Event, attempt: EventAttempt, is_current: Callable[[], bool]) -> None:
        """Record that the event's outputs are published."""
        if is_current():
            attempt.published()
        self.worker.status.done(
            self.stage.name,
            attempt.took_s,
            accepted_at_ms=event.received_at_ms if isinstance(event, MailInTransit) else None,
        )

    def _attempt(self, received: ReceivedEvent) -> EventAttempt:
        part = (self.topic.name, received.partition)
        return EventAttempt(
            Position(self.epoch, received.partition, received.offset),
            stage=self.stage.name,
            worker=self.worker.config.worker,
            origins=origins_in(received.headers),
            beat=lambda: self.worker.status.moves(part),
        )

    def _notes_of(self, partition: int) -> AttemptNotes:
        notes = self._notes.get(partition)
        if notes is None:
            folder = self.worker.config.notes_folder
            path = folder and folder / f"{self.topic.name}-{partition}"
            notes = self._notes[partition] = AttemptNotes(path, stamp_of(self.epoch))
        return notes

    def _clear_suspicion(self, received: ReceivedEvent) -> None:
        """The event was handled or parked, so it is neither suspect nor guilty any longer."""
        notes = self._notes.get(received.partition)
        if notes is not None and (notes.suspects or notes.guilty):
            notes.end(received.offset, handled=True)

    async def _outputs(
        self, event: Event, received: ReceivedEvent, attempt: EventAttempt
    ) -> tuple[Event, ...]:
        """Return the handler's outputs. Raises Poison, GaveUp, Fatal."""
        config = self.worker.config
        delay_s = config.unexpected_first_s
        failures = 0
        while True:
            try:
                return await self._held(attempt, lambda: self._call(event, received, attempt))
            except (Poison, Fatal):
                raise
            except Exception as cause:
                failures += 1
                self._log_unexpected(attempt, cause)
                if failures >= config.unexpected_tries:
                    raise GaveUp(failures, cause) from cause
            self.worker.status.count(self.stage.name, "retried")
            await asyncio.sleep(delay_s)
            delay_s *= 2

    async def _call(
        self, event: Event, received: ReceivedEvent, attempt: EventAttempt
    ) -> tuple[Event, ...]:
        """Call the handler once, with a note in the file of attempts while it runs.

        Raises SetAside or EndsProcess without calling it: see the head of this file.
        """
        notes, offset, turns = (
            self._notes_of(received.partition),
            received.offset,
            self.worker.turns,
        )
        if not attempt.is_journalled and self._is_set_aside(attempt):
            raise SetAside
        if offset in notes.guilty:
            raise EndsProcess
        attempt.begin()
        alone = offset in notes.suspects
        if not alone and turns.is_open:
            turns.begin_now()
        else:
            await turns.begin(alone=alone)
        notes.begin(offset, len(received.value), alone=alone)
        try:
            return tuple(await self.handler.handle(event, attempt))
        except (Transient, Fatal):
            raise
        except asyncio.CancelledError as cause:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            error = RuntimeError("the handler was cancelled from within")
            raise self._if_journalled(attempt, error) or error from cause
        except Exception as cause:
            if (transient := self._if_journalled(attempt, cause)) is None:
                raise
            raise transient from None
        finally:
            notes.end(offset, handled=False)
            turns.end(alone=alone)

    async def _publish(self, outputs: Sequence[Event], attempt: EventAttempt) -> None:
        try:
            await self.worker.publisher.publish(*outputs)
        except (Transient, Fatal):
            raise
        except Exception as cause:
            if (transient := self._if_journalled(attempt, cause)) is None:
                raise
            raise transient from None

    def _if_journalled(self, attempt: EventAttempt, cause: Exception) -> Transient | None:
        """Return the error to raise for `cause` if the journal has the command, else None."""
        if not attempt.is_journalled:
            return None
        self._log_unexpected(attempt, cause)
        return JournalledCommandFailed(self.stage.name, cause)

    def _is_set_aside(self, attempt: EventAttempt) -> bool:
        requests = self.worker.park_requests
        return not requests.is_empty and requests.includes(self._position(attempt), self.epoch)

    async def _published_instead(
        self, event: Event | None, attempt: EventAttempt, cause: Poison
    ) -> bool:
        """Publish what the stage offers instead of parking the event; return whether it did."""
        if event is None:
            return False
        instead = self.handler.instead_of_parking
        try:
            outputs = await self._held(attempt, lambda: instead(event, attempt, cause))
            if outputs is None:
                return False
            await self._held(attempt, lambda: self.worker.publisher.publish(*outputs))
        except Fatal:
            raise
        except Exception as error:  # noqa: BLE001  (the event is parked then)
            self._log_unexpected(attempt, error)
            return False
        position = self._position(attempt)
        self.worker.park_requests.parked(position)
        self.worker.status.done(self.stage.name, attempt.took_s)
        log.error("%s published another result instead of parking %s: %s",
                  self.stage.name, position, cause)  # fmt: skip
        return True

    async def _held(self, attempt: EventAttempt, action: Action[T]) -> T:
        """Return the result of `action`, repeated while its engine does not answer."""
        slot = self.stage.name, self.topic.name, attempt.position.partition
        return await self._hold.result(slot, attempt, action)

    async def _park(self, received: ReceivedEvent, attempt: EventAttempt, cause: Poison) -> None:
        letter = DeadLetter(
            topic=self.topic.name,
            partition=received.partition,
            offset=received.offset,
            stage=self.stage.name,
            cause=f"{type(cause).__name__}: {cause}",
            attempt=max(attempt.attempt, 1),
            at_ms=now_ms(),
            key=received.key,
            value=received.value,
        )
        worker, position = self.worker, self._position(attempt)
        await self._held(attempt, lambda: park(worker.publisher, letter, topic=worker.dead_letters))
        worker.status.count(self.stage.name, "parked")
        worker.park_requests.parked(position)
        log.error("%s parked %s: %s", self.stage.name, position, cause)

    def _log_unexpected(self, attempt: EventAttempt, cause: Exception) -> None:
        """Log `cause`, with its stack unless it is an error of ours, which says what is wrong."""
        log.error(
            "%s failed at %s, attempt %d: %r",
            self.stage.name,
            self._position(attempt),
            attempt.attempt,
            cause,
            exc_info=None if isinstance(cause, PostriverError) else cause,
        )

    def _position(self, attempt: EventAttempt) -> RecordPosition:
        return RecordPosition(self.topic.name, attempt.position.partition, attempt.position.offset)
