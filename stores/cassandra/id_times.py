"""The time in an id, for lists of ids by time."""

from mail.ids import time_ms

UNDATED_MS = 0  # of an id that has no time


def id_time_ms(id_: str) -> int:
    """The Unix time of a UUIDv7 in milliseconds; UNDATED_MS for another id."""
    try:
        return time_ms(id_)
    except ValueError:
        return UNDATED_MS
