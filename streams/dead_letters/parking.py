"""Parking: an event that can never be handled leaves its partition, its bytes unchanged.

The letter says where it stood and why it was parked; streams/dead_letters/admin.py lists letters
and sends them back.
"""

from typing import Protocol

import msgspec

from schemas.dead_letters import DeadLetter
from streams.codec import Headers
from streams.dead_letters.headers import letter_headers
from streams.topology import DEAD_LETTERS, EVENT_MAX_BYTES

WHOLE_MAX_BYTES = EVENT_MAX_BYTES + 32 * 1024  # key and value; the publisher takes 16 KiB more
CUT_BYTES = 1024 * 1024
KEY_CUT_BYTES = 4 * 1024


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

    A record over WHOLE_MAX_BYTES, which no stage of ours writes, is cut to its beginning.
    Repeating may leave two letters of one origin; sending both back is harmless, ids travel.
    """
    if len(letter.key) + len(letter.value) > WHOLE_MAX_BYTES:
        letter = _cut(letter)
    await river.publish_raw(topic, letter.key, letter.value, letter_headers(letter))


def _cut(letter: DeadLetter) -> DeadLetter:
    """No event of ours is so large, so what is cut off is no mail."""
    said = f"a foreign record of {len(letter.value)} bytes, cut to {CUT_BYTES}; {letter.cause}"
    return msgspec.structs.replace(
        letter, key=letter.key[:KEY_CUT_BYTES], value=letter.value[:CUT_BYTES], cause=said
    )
