"""Hops of a mail with the time that the mail waited before each of them."""

from collections.abc import Iterable

import msgspec

from schemas.mail import Hop


class TimedHop(msgspec.Struct, frozen=True, kw_only=True):
    """`waited_ms`: from the end of the hop before, by the clocks of both hosts; 0 for the first."""

    hop: Hop
    waited_ms: int


def timed(hops: Iterable[Hop]) -> list[TimedHop]:
    """Return the hops in their order, each with its wait."""
    result: list[TimedHop] = []
    end_ms: int | None = None
    for hop in hops:
        waited_ms = 0 if end_ms is None else max(0, hop.started_at_ms - end_ms)
        end_ms = hop.started_at_ms + round(hop.took_ms)
        result.append(TimedHop(hop=hop, waited_ms=waited_ms))
    return result
