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
InsteadOfParking = Callable[[EventT, Attempt, PortsT, Poison], Awaitable[Outputs | None]]


async def _always_park(_event: Event, _attempt: Attempt, _cause: Poison) -> None:
    """Offer nothing instead of parking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageHandler:
    """What a stage does with one event.

    `handle` returns the events to publish. `instead_of_parking` gets an event that would be parked,
    and why; it returns the events to publish instead, or None when the event must be parked.
    """

    handle: Callable[[Event, Attempt], Awaitable[Outputs]]
    instead_of_parking: Callable[[Event, Attempt, Poison], Awaitable[Outputs | None]] = _always_park


def bind(
    handler: Handler[EventT, PortsT],
    ports: PortsT,
    *,
    instead_of_parking: InsteadOfParking[EventT, PortsT] | None = None,
) -> StageHandler:
    """Return `handler` as the handler of a stage, called with `ports`."""

    def handle(event: Event, attempt: Attempt) -> Awaitable[Outputs]:
        return handler(cast("EventT", event), attempt, ports)

    if instead_of_parking is None:
        return StageHandler(handle=handle)
    replace = instead_of_parking

    def instead(event: Event, attempt: Attempt, cause: Poison) -> Awaitable[Outputs | None]:
        return replace(cast("EventT", event), attempt, ports, cause)

    return StageHandler(handle=handle, instead_of_parking=instead)
