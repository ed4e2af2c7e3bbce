"""Dead letters: list, count by cause, show, redrive, discard, and park an event by hand.

Redrive and discard are safe to repeat (streams/dead_letters/admin.py). `topic` is another topic in
tests only. Every function raises BrokerUnavailable.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import msgspec

from mail.lifecycle import running
from streams.config import Bootstrap, PublisherConfig
from streams.dead_letters.admin import EVERY, DeadLetterAdmin, DeadLetterResult
from streams.dead_letters.records import DeadLetterFilter, ParkedRecord, kind_of
from streams.log_client import LogClient
from streams.publisher import KafkaPublisher
from streams.topology import DEAD_LETTERS

LIST_MAX = 500


class CauseCount(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters of one stage with the same kind of cause."""

    stage: str
    cause: str
    count: int
    example: str  # the id of the latest


async def list_newest(
    bootstrap: Bootstrap,
    limit: int,
    *,
    conditions: DeadLetterFilter = EVERY,
    topic: str = DEAD_LETTERS,
) -> list[ParkedRecord]:
    """Return the newest dead letters, newest first, in any state; at most LIST_MAX."""
    async with LogClient(bootstrap) as log:
        return await DeadLetterAdmin(log, topic=topic).newest(min(limit, LIST_MAX), conditions)


async def list_waiting(
    bootstrap: Bootstrap, *, conditions: DeadLetterFilter = EVERY, topic: str = DEAD_LETTERS
) -> list[ParkedRecord]:
    """Return every dead letter that was neither redriven nor discarded, without its value."""
    async with LogClient(bootstrap) as log:
        records = await DeadLetterAdmin(log, topic=topic).index(conditions)
    return [record for record in records.values() if record.waits]


async def count_by_cause(
    bootstrap: Bootstrap, *, conditions: DeadLetterFilter = EVERY
) -> list[CauseCount]:
    """Count the dead letters that wait by stage and cause, the most frequent first."""
    groups: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for record in await list_waiting(bootstrap, conditions=conditions):
        letter = record.letter
        kind = (letter.stage, kind_of(letter.cause)) if letter else ("?", "unreadable")
        groups[kind].append(record.id)
    return [
        CauseCount(stage=stage, cause=cause, count=len(ids), example=ids[-1])
        for (stage, cause), ids in sorted(groups.items(), key=lambda group: -len(group[1]))
    ]


async def show(bootstrap: Bootstrap, id_: str, *, topic: str = DEAD_LETTERS) -> ParkedRecord:
    """Return one dead letter with its value. Raises NotFound."""
    async with LogClient(bootstrap) as log:
        return await DeadLetterAdmin(log, topic=topic).get(id_)


async def redrive(
    bootstrap: Bootstrap,
    ids: Sequence[str] | None,
    *,
    conditions: DeadLetterFilter = EVERY,
    dry_run: bool = False,
    force: bool = False,
    topic: str = DEAD_LETTERS,
) -> list[DeadLetterResult]:
    """Publish dead letters again to their topics of origin, in order within a partition.

    `ids` None: all that wait and match `conditions`. `force`: also those
    redriven or discarded before.
    Stops at the first failure; the dead letters before it are marked, so repeat the same call.
    """
    async with LogClient(bootstrap) as log:
        admin = DeadLetterAdmin(log, topic=topic)
        if dry_run:
            return await admin.redrive(ids, publisher=None, force=force, conditions=conditions)
        async with _publisher(bootstrap) as publisher:
            return await admin.redrive(ids, publisher=publisher, force=force, conditions=conditions)


async def discard(
    bootstrap: Bootstrap, ids: Sequence[str], reason: str, *, topic: str = DEAD_LETTERS
) -> list[DeadLetterResult]:
    """Mark dead letters as discarded: they stay readable in the log and wait no longer."""
    async with LogClient(bootstrap) as log, _publisher(bootstrap) as publisher:
        return await DeadLetterAdmin(log, topic=topic).discard(ids, reason, publisher)


def _publisher(bootstrap: Bootstrap) -> AbstractAsyncContextManager[KafkaPublisher]:
    return running(KafkaPublisher(PublisherConfig(bootstrap=bootstrap, linger_ms=0)))
