"""What all stages of one worker share."""

from dataclasses import dataclass, field
from typing import Protocol

from schemas.events.unions import Event
from streams.config import StreamsConfig
from streams.dead_letters.parking import RawPublisher
from streams.dead_letters.set_aside import ParkRequests
from streams.topology import DEAD_LETTERS
from streams.worker.attempt_turns import AttemptTurns
from streams.worker.status import RoleStatus


class EventPublisher(RawPublisher, Protocol):
    """Publishes events and raw records; streams.publisher.KafkaPublisher implements it."""

    async def publish(self, *events: Event) -> None:
        """As mail.ports.Publisher."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """Publisher, settings, status and locks of one worker process."""

    publisher: EventPublisher
    config: StreamsConfig
    status: RoleStatus = field(default_factory=RoleStatus)
    dead_letters: str = DEAD_LETTERS  # topic
    turns: AttemptTurns = field(default_factory=AttemptTurns)
    park_requests: ParkRequests = field(default_factory=lambda: ParkRequests(None))
