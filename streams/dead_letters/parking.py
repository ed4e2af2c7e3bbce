"""Parking: move an event that cannot be handled to dead.letters, its bytes unchanged.

The dead letter says where the event was and why it was parked. streams/dead_letters/admin.py lists
and redrives dead letters.
"""

from typing import Protocol

import msgspec

from schemas.dead_letters import DeadLetter
from streams.codec import Headers
from streams.dead_letters.headers import letter_headers
from streams.topology import DEAD_LETTERS, EVENT_MAX_BYTES

WHOLE_MAX_BYTES = (
    EVENT_MAX_BYTES + 32 * 1024
)  # key and value; the publisher's limit is 16 KiB higher
CUT_BYTES = 1024 * 1024
KEY_CUT_BYTES = 4 * 1024


class RawPublisher(Protocol):
    """Publishes raw records."""

    async def publish_raw(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        *,
        partition: int | None = None,
    ) -> None:
        """Return once the broker has acknowledged. Raises BrokerUnavailable: in doubt, repeat."""
        ...


async def park(publisher: RawPublisher, letter: DeadLetter, *, topic: str = DEAD_LETTERS) -> None:
    """Publish `letter` under the key of its origin. Raises BrokerUnavailable: in doubt, repeat.

    A record over WHOLE_MAX_BYTES, which no stage publishes, is cut to its beginning.
    A repeat may leave two dead letters of one event. To redrive both is harmless: their ids are the
    same, so stages recognise the second.
    """
    if len(letter.key) + len(letter.value) > WHOLE_MAX_BYTES:
        letter = _cut(letter)
    await publisher.publish_raw(topic, letter.key, letter.value, letter_headers(letter))


def _cut(letter: DeadLetter) -> DeadLetter:
    """Return `letter` with key and value cut. No stage writes such a record, so no mail is lost."""
    cause = f"a foreign record of {len(letter.value)} bytes, cut to {CUT_BYTES}; {letter.cause}"
    return msgspec.structs.replace(
        letter, key=letter.key[:KEY_CUT_BYTES], value=letter.value[:CUT_BYTES], cause=cause
    )
