"""Dead letters: list, count by cause, show, redrive, discard, and park an event by hand.

Redrive and discard are safe to repeat (streams/dead_letters/admin.py). `topic` is another topic in
tests only. Every function raises BrokerUnavailable.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from mail.clock import rfc3339
from mail.lifecycle import running
from streams.config import Bootstrap, PublisherConfig
from streams.dead_letters.admin import EVERY, DeadLetterAdmin, DeadLetterResult
from streams.dead_letters.records import DeadLetterFilter, ParkedRecord, ids_in, kind_of
from streams.log_client import LogClient
from streams.publisher import KafkaPublisher
from streams.topology import DEAD_LETTERS

LIST_MAX = 500
__all__ = [  # with the types of streams/ that callers need
    "CauseCount",
    "DeadLetterFilter",
    "DeadLetterResult",
    "LetterRow",
    "ParkedRecord",
    "count_by_cause",
    "discard",
    "letter_row",
    "list_newest",
    "list_waiting",
    "redrive",
    "show",
]


class CauseCount(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters of one stage with the same kind of cause."""

    stage: str
    cause: str
    count: int
    example: str  # the id of the latest


class LetterRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter without its value, which may have the octets of a mail.

    `event`: the tag of the event; mail and user as the event names them. "" and 0: its headers do
    not name its origin, or its value cannot be decoded.
    """

    id: str
    topic: str = ""
    partition: int = 0
    offset: int = 0
    stage: str = ""
    cause: str = ""
    attempt: int = 0
    at: str | None = None
    event: str = ""
    mail_id: str = ""
    user_id: str = ""
    size_bytes: int = 0
    redriven_at: str | None = None
    discarded_at: str | None = None
    reason: str = ""  # why it was discarded


class _Tagged(msgspec.Struct):
    type: str = ""


def letter_row(record: ParkedRecord) -> LetterRow:
    """Return what is known of a dead letter, without the content of its event."""
    state: dict[str, Any] = {
        "redriven_at": rfc3339(record.redriven_at_ms) if record.redriven_at_ms else None,
        "discarded_at": rfc3339(record.discarded_at_ms) if record.discarded_at_ms else None,
        "reason": record.reason,
    }
    if (letter := record.letter) is None:
        return LetterRow(id=record.id, **state)
    mail_id, user_id, _ = ids_in(letter.value)
    return LetterRow(
        id=record.id,
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        stage=letter.stage,
        cause=letter.cause,
        attempt=letter.attempt,
        at=rfc3339(letter.at_ms),
        event=_tag_of(letter.value),
        mail_id=mail_id,
        user_id=user_id,
        size_bytes=len(letter.value or b""),
        **state,
    )


def _tag_of(value: bytes | None) -> str:
    try:
        return msgspec.msgpack.decode(value or b"", type=_Tagged).type
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""


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
    bootstrap: Bootstrap,
    ids: Sequence[str],
    reason: str,
    *,
    dry_run: bool = False,
    topic: str = DEAD_LETTERS,
) -> list[DeadLetterResult]:
    """Mark dead letters as discarded: they stay readable in the log and wait no longer."""
    async with LogClient(bootstrap) as log:
        admin = DeadLetterAdmin(log, topic=topic)
        if dry_run:
            return await admin.discard(ids, reason, None)
        async with _publisher(bootstrap) as publisher:
            return await admin.discard(ids, reason, publisher)


def _publisher(bootstrap: Bootstrap) -> AbstractAsyncContextManager[KafkaPublisher]:
    return running(KafkaPublisher(PublisherConfig(bootstrap=bootstrap, linger_ms=0)))
