"""Events: one attempt at an event, publishing, live events, and the state of the intake."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from schemas.events.mailbox_events import MailboxEvent, Position
from schemas.events.unions import Event
from schemas.ids import UserId
from schemas.mail import Hop
from schemas.mailbox import MailboxState


class Attempt(Protocol):
    """One attempt at one event, as the handler sees it."""

    @property
    def position(self) -> Position: ...

    @property
    def origins(self) -> tuple[Position, ...]:
        """Positions of the event in logs that backups were taken of, the oldest first."""
        ...

    @property
    def attempt(self) -> int:
        """1 for the first attempt since this process got the event."""
        ...

    def hop(self, verdict: str) -> Hop:
        """Return the hop of this stage up to now."""
        ...

    def after_publish(self, then: Callable[[], None]) -> None:
        """Call `then` once this attempt's outputs are acknowledged, before the event is.

        `then` must not block and must not fail. In an ordered stage the next event of the same key
        is not handled before it. `then` is dropped when the attempt ends in any other way, or when
        the partition has been revoked meanwhile.
        """
        ...

    def committed(self) -> None:
        """Report that the command is in the journal: from now on its event is never parked."""
        ...

    def beat(self) -> None:
        """Report progress of a long handler; without progress for 300 s the process is stalled."""
        ...


class Publisher(Protocol):
    """Writes events to the log. Topic and key follow from the event (streams/topology.py)."""

    async def publish(self, *events: Event) -> None:
        """Return once the broker has acknowledged all events, in order within a key.

        Raises BrokerUnavailable: the events may be in the log or not; repeat with the same ids.
        """
        ...


class MailboxStates(Protocol):
    """The live copy of mailbox states (the Faust table): a cache of the mail store."""

    def get(self, user_id: UserId) -> MailboxState | None:
        """Return the state; None until it is set in this assignment of the partition."""
        ...

    def set(self, user_id: UserId, state: MailboxState) -> None:
        """Keep `state`, which the mail store has confirmed."""
        ...

    def doubt(self, user_id: UserId) -> None:
        """Drop the confirmation: the next command of this user loads from the mail store."""
        ...


class LiveEvents(Protocol):
    """Mailbox events from the moment of subscription on; no event is kept."""

    def subscribe(
        self, user_id: UserId, sink: Callable[[MailboxEvent], None]
    ) -> Callable[[], None]:
        """Call `sink` for each event of the user; return the function that unsubscribes.

        `sink` must not block and must not fail.
        """
        ...


class ScanProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Mails that wait for the scanners, and mails scanned since the topic was created."""

    waiting: int
    scanned: int


class ScanLog(Protocol):
    """The backlog of the scanners."""

    async def progress(self) -> ScanProgress:
        """Raises BrokerUnavailable."""
        ...


class IntakeGate(Protocol):
    """Whether new mail may be accepted now."""

    def closed(self) -> str | None:
        """Return why the gate is closed (low disk, backlog), for an operator; None when open."""
        ...
