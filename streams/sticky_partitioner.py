"""Sticky partitioner for unordered topics: consecutive records go to one partition (KIP-480).

After 20 ms or 128 KiB the next partition follows. A choice by key would spread the records over all
partitions, and the few records of each partition would have a batch, a sync to disk and a fetch
response of their own. A producer has one request to a broker in flight, and the broker syncs the
partitions of a request one after another.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field

TURN_S = 0.02  # some round trips of a producer; records of this time share a batch
TURN_MAX_BYTES = (
    128 * 1024
)  # half a batch (streams/config.py), so that large mails do not wait for space in it


@dataclass(slots=True)
class _Turn:
    partition: int
    ends_s: float = 0.0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StickyPartitioner:
    """The partitioner of one producer; its first partition is random, so that producers differ."""

    _turns: defaultdict[str, _Turn] = field(
        default_factory=lambda: defaultdict(lambda: _Turn(random.randrange(1 << 16)))  # noqa: S311
    )

    def partition(self, topic: str, partitions: int, size_bytes: int, now_s: float) -> int:
        """Return the partition of a record of `size_bytes` at the monotonic time `now_s`."""
        turn = self._turns[topic]
        if now_s >= turn.ends_s or turn.size_bytes + size_bytes > TURN_MAX_BYTES:
            turn.partition += 1
            turn.ends_s = now_s + TURN_S
            turn.size_bytes = 0
        turn.size_bytes += size_bytes
        return turn.partition % partitions
