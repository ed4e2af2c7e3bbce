"""Wall clock, timestamps as text, and the length of a day."""

import time
from datetime import UTC, datetime

DAY_MS = 86_400_000


def now_ms() -> int:
    """Unix time in milliseconds, by the clock of this host."""
    return time.time_ns() // 1_000_000


def rfc3339(at_ms: int) -> str:
    """The timestamp in UTC with milliseconds (RFC 3339 §5.6)."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}.{at_ms % 1000:03d}Z"
