"""Times for statements of stores other than the mail store: of this process, and those in ids."""

import time

from mail.ids import time_ms

UNDATED_MS = 0  # of an id that has no time


def now_us() -> int:
    """The Unix time in microseconds."""
    return time.time_ns() // 1000


def id_time_ms(id_: str) -> int:
    """The Unix time of a UUIDv7 in milliseconds; UNDATED_MS for another id."""
    try:
        return time_ms(id_)
    except ValueError:
        return UNDATED_MS
