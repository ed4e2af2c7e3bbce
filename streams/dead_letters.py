"""Parking: an event that can never be handled leaves its partition, its bytes unchanged.

The letter says where it stood and why it was parked; streams/dead_letter_box.py lists letters and
sends them back.
"""

from typing import Protocol

from schemas.records import DeadLetter
from streams.dead_letter_headers import Headers, letter_headers
from streams.topology import DEAD_LETTERS


class RawPublisher(Protocol):
    """Writes bytes as they are."""

    async def publish_raw(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        *,
        partition: int | None = None,
    ) -> None:
        """Return once the broker acknowledged. BrokerUnavailable: in doubt, repeat."""
        ...


async def park(river: RawPublisher, letter: DeadLetter, *, topic: str = DEAD_LETTERS) -> None:
    """Write `letter` under the origin's key. BrokerUnavailable: in doubt, repeat.

    Repeating may leave two letters of one origin; sending both back is harmless, ids travel.
    """
    await river.publish_raw(topic, letter.key, letter.value, letter_headers(letter))
