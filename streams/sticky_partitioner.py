"""Which partition takes the next record of a topic whose records stand in no order.

By key they would be spread over all partitions, and each partition's few records are a batch, a
sync to disk and an answer to a waiting fetch of their own; a producer has one request to a broker
under way, and the broker syncs that request's partitions one after another. So records that come
together go to one partition together, and the next ones to the next partition.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field

TURN_S = 0.02  # some round trips of a producer: what comes meanwhile is company
TURN_MAX_BYTES = 128 * 1024  # half a batch (streams/config.py): big mails must not wait for room


@dataclass(slots=True)
class _Turn:
    partition: int
    ends_s: float = 0.0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StickyPartitioner:
    """Of one producer; begins anywhere, so that several producers do not go in step."""

    _turns: defaultdict[str, _Turn] = field(
        default_factory=lambda: defaultdict(lambda: _Turn(random.randrange(1 << 16)))  # noqa: S311
    )

    def partition(self, topic: str, partitions: int, size_bytes: int, now_s: float) -> int:
        """Where a record of `size_bytes` goes at the monotonic time `now_s`."""
        turn = self._turns[topic]
        if now_s >= turn.ends_s or turn.size_bytes + size_bytes > TURN_MAX_BYTES:
            turn.partition += 1
            turn.ends_s = now_s + TURN_S
            turn.size_bytes = 0
        turn.size_bytes += size_bytes
        return turn.partition % partitions
