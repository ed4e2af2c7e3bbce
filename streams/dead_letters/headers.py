"""Headers of the records of dead.letters.

The topic has two kinds of record. A dead letter has the key and value of the parked event,
unchanged; its headers say where the event came from and why it was parked. A mark has no value; its
headers say that the dead letter at an earlier offset of the same partition was redriven, or
discarded and why.
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
AT_MS = "at-ms"  # Unix epoch, by the clock of the record's writer
REDRIVEN_OF = "redriven-of"  # on marks only: the dead letter's id, "partition-offset"
DISCARDED_OF = "discarded-of"  # on marks only, as REDRIVEN_OF
REASON = "reason"  # with discarded-of

CAUSE_MAX_BYTES = 4096


def letter_headers(letter: DeadLetter) -> Headers:
    """Return the headers of a dead letter; a cause over CAUSE_MAX_BYTES is cut."""
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
    """Return the headers of the mark that `letter_id` was redriven at `at_ms`."""
    return [(REDRIVEN_OF, letter_id.encode()), (AT_MS, str(at_ms).encode())]


def discard_headers(letter_id: str, at_ms: int, reason: str) -> Headers:
    """Return the headers of the mark that `letter_id` was discarded at `at_ms`, and why."""
    mark = [(DISCARDED_OF, letter_id.encode()), (AT_MS, str(at_ms).encode())]
    return [*mark, (REASON, _cut(reason))]


def _cut(text: str) -> bytes:
    return text.encode("utf-8", "replace")[:CAUSE_MAX_BYTES]


def texts(headers: Sequence[tuple[str, bytes]]) -> dict[str, str]:
    """Return headers as text; the last value of a repeated name counts."""
    return {name: (value or b"").decode("utf-8", "replace") for name, value in headers}


def letter(headers: dict[str, str], key: bytes | None, value: bytes | None) -> DeadLetter | None:
    """Return the dead letter of a record, or None if its headers do not name an origin."""
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
