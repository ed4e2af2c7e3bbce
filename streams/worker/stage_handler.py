"""The handler of a stage, with its ports bound.

An agent declares the events that it handles and the ports that it needs; `bind` keeps both types
out of the harness. The harness decodes with the codec of the stage's topic, which accepts the
events that the topic carries (streams/topology.py), so a handler gets no other event.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from mail.errors import Poison
from mail.ports import Attempt
from schemas.events.unions import Event

EventT = TypeVar("EventT", bound=Event)
PortsT = TypeVar("PortsT")
Outputs = Sequence[Event]

Handler = Callable[[EventT, Attempt, PortsT], Awaitable[Outputs]]
HandleTogether = Callable[[Sequence[Event], Sequence[Attempt]], Awaitable[Sequence[Outputs] | None]]
Together = Callable[
    [Sequence[Event], Sequence[Attempt], PortsT], Awaitable[Sequence[Outputs] | None]
]
InsteadOfParking = Callable[[EventT, Attempt, PortsT, Poison], Awaitable[Outputs | None]]


async def _always_park(_event: Event, _attempt: Attempt, _cause: Poison) -> None:
    """Offer nothing instead of parking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageHandler:
    """What a stage does with one event.

    `handle` returns the events to publish. `instead_of_parking` gets an event that would be parked,
    and why; it returns the events to publish instead, or None when the event must be parked.
    `handle_together` gets several events of one key, in their order, and returns the outputs of
    each; None: they must be handled one by one, which repeats what it has done.
    """

    handle: Callable[[Event, Attempt], Awaitable[Outputs]]
    instead_of_parking: Callable[[Event, Attempt, Poison], Awaitable[Outputs | None]] = _always_park
    handle_together: HandleTogether | None = None


def bind(
    handler: Handler[EventT, PortsT],
    ports: PortsT,
    *,
    instead_of_parking: InsteadOfParking[EventT, PortsT] | None = None,
    together: Together[PortsT] | None = None,
) -> StageHandler:
    """Return `handler` as the handler of a stage, called with `ports`."""
    return StageHandler(
        handle=lambda event, attempt: handler(cast("EventT", event), attempt, ports),
        instead_of_parking=_always_park
        if instead_of_parking is None
        else lambda event, attempt, cause: instead_of_parking(
            cast("EventT", event), attempt, ports, cause
        ),
        handle_together=None
        if together is None
        else lambda events, attempts: together(events, attempts, ports),
    )
