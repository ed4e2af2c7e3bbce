"""Publisher, MailboxStates and LiveEvents in memory, with contents that a test can read."""

from collections.abc import Callable

from mail.ports import LiveEvents, MailboxStates, Publisher
from schemas.events.mailbox_events import MailboxEvent
from schemas.events.unions import Event
from schemas.ids import UserId
from schemas.mailbox import MailboxState
from stores.memory.faults import FaultHook, no_fault, take_step

Sink = Callable[[MailboxEvent], None]


class MemoryPublisher(Publisher):
    """Keeps the published events in `events`, in order. Steps for `fault`: publish."""

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self.events: list[Event] = []

    async def publish(self, *events: Event) -> None:
        await take_step(self.fault, "publish")
        self.events.extend(events)


class MemoryMailboxStates(MailboxStates):
    """Mailbox states. `reassign` keeps `states`, but every state has to be proven again."""

    def __init__(self) -> None:
        self.states: dict[str, MailboxState] = {}
        self._proven: set[str] = set()

    def get(self, user_id: UserId) -> MailboxState | None:
        return self.states.get(user_id) if user_id in self._proven else None

    def set(self, user_id: UserId, state: MailboxState) -> None:
        self.states[user_id] = state
        self._proven.add(user_id)

    def doubt(self, user_id: UserId) -> None:
        self._proven.discard(user_id)

    def reassign(self) -> None:
        """Begin a new partition assignment: forget which states are proven."""
        self._proven.clear()


class MemoryLiveEvents(LiveEvents):
    """Passes each event given to `emit` to the sinks of its user."""

    def __init__(self) -> None:
        self._sinks: dict[str, dict[object, Sink]] = {}

    def subscribe(self, user_id: UserId, sink: Sink) -> Callable[[], None]:
        key = object()
        self._sinks.setdefault(user_id, {})[key] = sink
        return lambda: self._leave(user_id, key)

    def emit(self, *events: MailboxEvent) -> None:
        for event in events:
            for sink in tuple(self._sinks.get(event.user_id, {}).values()):
                sink(event)

    def subscribers(self, user_id: UserId) -> int:
        """Return the number of sinks of the user."""
        return len(self._sinks.get(user_id, {}))

    def _leave(self, user_id: UserId, key: object) -> None:
        sinks = self._sinks.get(user_id, {})
        sinks.pop(key, None)
        if not sinks:
            self._sinks.pop(user_id, None)
