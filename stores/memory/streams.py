"""Publisher, Unread and Feed in memory: a river that one test can look into."""

from collections.abc import Callable

from mail.ports import LiveEvents, MailboxStates, Publisher
from schemas.events.mailbox_events import MailboxEvent
from schemas.events.unions import Event
from schemas.mailbox import MailboxState
from stores.memory.faults import FaultHook, no_fault, take_step

Sink = Callable[[MailboxEvent], None]


class MemoryPublisher(Publisher):
    """Keeps what was published in `events`, in order. Steps that `fault` meets: publish."""

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self.events: list[Event] = []

    async def publish(self, *events: Event) -> None:
        await take_step(self.fault, "publish")
        self.events.extend(events)


class MemoryMailboxStates(MailboxStates):
    """The table: `states` outlives an assignment, the proofs do not."""

    def __init__(self) -> None:
        self.states: dict[str, MailboxState] = {}
        self._proven: set[str] = set()

    def get(self, user_id: str) -> MailboxState | None:
        return self.states.get(user_id) if user_id in self._proven else None

    def set(self, user_id: str, state: MailboxState) -> None:
        self.states[user_id] = state
        self._proven.add(user_id)

    def doubt(self, user_id: str) -> None:
        self._proven.discard(user_id)

    def reassign(self) -> None:
        """A new assignment: every copy has to be proven again."""
        self._proven.clear()


class MemoryLiveEvents(LiveEvents):
    """Hands each event that is given to `emit` to its user's sinks."""

    def __init__(self) -> None:
        self._sinks: dict[str, dict[object, Sink]] = {}

    def subscribe(self, user_id: str, sink: Sink) -> Callable[[], None]:
        key = object()
        self._sinks.setdefault(user_id, {})[key] = sink
        return lambda: self._leave(user_id, key)

    def emit(self, *events: MailboxEvent) -> None:
        for event in events:
            for sink in tuple(self._sinks.get(event.user_id, {}).values()):
                sink(event)

    def subscribers(self, user_id: str) -> int:
        """How many sinks listen to this user."""
        return len(self._sinks.get(user_id, {}))

    def _leave(self, user_id: str, key: object) -> None:
        sinks = self._sinks.get(user_id, {})
        sinks.pop(key, None)
        if not sinks:
            self._sinks.pop(user_id, None)
