"""How a handler, an edge and the river meet."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from schemas.events.mailbox_events import MailboxEvent, Position
from schemas.events.unions import Event
from schemas.mail import Hop
from schemas.mailbox import MailboxState


class Attempt(Protocol):
    """One try at one event, as a handler sees it."""

    @property
    def position(self) -> Position: ...

    @property
    def origins(self) -> tuple[Position, ...]:
        """Where the event stood in logs that backups were taken of, the oldest first."""
        ...

    @property
    def attempt(self) -> int:
        """1 for the first try since this process got the event."""
        ...

    def hop(self, verdict: str) -> Hop:
        """The hop of this stage so far."""
        ...

    def after_publish(self, then: Callable[[], None]) -> None:
        """Call `then` once this try's outputs are acknowledged, before the event is.

        It must not block and must not fail. The next event of the same key, where the stage is
        ordered, is not handled before it. Dropped when the try ends in any other way, or when the
        partition has been revoked meanwhile.
        """
        ...

    def committed(self) -> None:
        """The command's effect is journalled: from now on the event waits, and is never parked."""
        ...

    def beat(self) -> None:
        """Progress of a long handler; without one for 300 s the process is taken for stalled."""
        ...


class Publisher(Protocol):
    """The way into the river. Topic and key follow from the event (streams/topology.py)."""

    async def publish(self, *events: Event) -> None:
        """Return once the broker acknowledged all. BrokerUnavailable: in doubt, repeat."""
        ...


class MailboxStates(Protocol):
    """The live copy of mailbox states (the Faust table): a cache of the store, never the truth."""

    def get(self, user_id: str) -> MailboxState | None:
        """None when this assignment has not yet proven its copy against the store."""
        ...

    def set(self, user_id: str, state: MailboxState) -> None:
        """Keep `state` as proven."""
        ...

    def doubt(self, user_id: str) -> None:
        """Forget the proof: the next command of this user loads from the store again."""
        ...


class LiveEvents(Protocol):
    """Mailbox events as they come, from the moment of subscription on; nothing is kept."""

    def subscribe(self, user_id: str, sink: Callable[[MailboxEvent], None]) -> Callable[[], None]:
        """Call `sink`, which must not block, for each event of the user; returns the way out."""
        ...


class ScanProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Mails that wait for the scanners, and mails that have passed them since the log began."""

    waiting: int
    scanned: int


class ScanLog(Protocol):
    """How far the scanners are behind."""

    async def progress(self) -> ScanProgress:
        """BrokerUnavailable: it cannot be said now."""
        ...


class IntakeGate(Protocol):
    """Whether new mail may be taken now."""

    def closed(self) -> str | None:
        """None when open, else why not (low disk, backlog), fit for an operator's eye."""
        ...
