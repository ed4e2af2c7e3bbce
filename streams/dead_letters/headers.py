"""The headers of dead.letters: where a parked event came from, and why it was parked.

Two kinds of record stand on the topic. A letter: key and value are the origin's bytes, unchanged.
A mark: no value; it says that the letter at an earlier offset of the same partition was sent back,
or thrown away and why.
"""

from collections.abc import Sequence

from schemas.dead_letters import DeadLetter
from streams.codec import Headers

ORIGIN_TOPIC = "origin-topic"
ORIGIN_PARTITION = "origin-partition"
ORIGIN_OFFSET = "origin-offset"
STAGE = "stage"
CAUSE = "cause"
ATTEMPT = "attempt"
AT_MS = "at-ms"  # Unix epoch, the clock of whoever wrote the record
REDRIVEN_OF = "redriven-of"  # on marks only: the letter's id, "partition-offset"
DISCARDED_OF = "discarded-of"  # likewise
REASON = "reason"  # with discarded-of

CAUSE_MAX_BYTES = 4096


def letter_headers(letter: DeadLetter) -> Headers:
    """Headers of a letter; a cause over CAUSE_MAX_BYTES is cut."""
    cause = _cut(letter.cause)
    return [
        (ORIGIN_TOPIC, letter.topic.encode()),
        (ORIGIN_PARTITION, str(letter.partition).encode()),
        (ORIGIN_OFFSET, str(letter.offset).encode()),
        (STAGE, letter.stage.encode()),
        (CAUSE, cause),
        (ATTEMPT, str(letter.attempt).encode()),
        (AT_MS, str(letter.at_ms).encode()),
    ]


def mark_headers(letter_id: str, at_ms: int) -> Headers:
    """Headers of the mark which says that `letter_id` was sent back at `at_ms`."""
    return [(REDRIVEN_OF, letter_id.encode()), (AT_MS, str(at_ms).encode())]


def discard_headers(letter_id: str, at_ms: int, reason: str) -> Headers:
    """Headers of the mark which says that `letter_id` was thrown away, and why."""
    told = [(DISCARDED_OF, letter_id.encode()), (AT_MS, str(at_ms).encode())]
    return [*told, (REASON, _cut(reason))]


def _cut(text: str) -> bytes:
    return text.encode("utf-8", "replace")[:CAUSE_MAX_BYTES]


def texts(headers: Sequence[tuple[str, bytes]]) -> dict[str, str]:
    """Headers as text; of a repeated name the last one counts."""
    return {name: (value or b"").decode("utf-8", "replace") for name, value in headers}


def letter(headers: dict[str, str], key: bytes | None, value: bytes | None) -> DeadLetter | None:
    """The letter of a record, or None when its headers do not say where it came from."""
    try:
        return DeadLetter(
            topic=headers[ORIGIN_TOPIC],
            partition=int(headers[ORIGIN_PARTITION]),
            offset=int(headers[ORIGIN_OFFSET]),
            stage=headers.get(STAGE, ""),
            cause=headers.get(CAUSE, ""),
            attempt=int(headers.get(ATTEMPT, "0")),
            at_ms=int(headers.get(AT_MS, "0")),
            key=key or b"",
            value=value or b"",
        )
    except (KeyError, ValueError):
        return None
