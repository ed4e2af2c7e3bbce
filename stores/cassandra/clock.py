"""The time for statements of stores other than the mail store."""

import time


def now_us() -> int:
    """The Unix time in microseconds."""
    return time.time_ns() // 1000
