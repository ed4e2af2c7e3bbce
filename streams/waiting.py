"""waiting: what stands in the log before its readers, taken out of one log and put into another.

A backup keeps these records instead of the broker's files, which cannot be copied in one moment.
Taken: what a mail's reader has not committed, and dead letters that nobody has seen to. Put back
unchanged, under the same keys: ids travel inside, so every stage recognises what it has done.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import TopicPartition

from mail.errors import BrokerUnavailable, Fatal
from streams.lag import GROUP_PREFIX, GroupsTopics, mail_groups
from streams.letters import id_of, mark_of
from streams.log_client import LogClient
from streams.publisher import KafkaPublisher
from streams.topology import BY_NAME, DEAD_LETTERS, TOPICS

_log = logging.getLogger(__name__)
_BATCH_RECORDS = 200  # in one acknowledgement
_BATCH_BYTES = 4 * 1024 * 1024
_RETRY_S = 0.5
_LENGTH_BYTES = 4
_encode = msgspec.msgpack.Encoder().encode

Spans = dict[TopicPartition, tuple[int, int]]


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """A record as it stood in the log."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


_decode = msgspec.msgpack.Decoder(Waiting).decode


class Trimmed(BrokerUnavailable):
    """What had been finished meanwhile was removed before it was read: take everything again."""

    def __init__(self, part: TopicPartition) -> None:
        super().__init__(f"{part.topic} partition {part.partition} was trimmed while it was read")


async def take(bootstrap: str, *, groups: GroupsTopics | None = None) -> AsyncIterator[Waiting]:
    """Every waiting record, in order within a key. BrokerUnavailable; Trimmed at the end.

    `groups` and what they read; None: `readers`. Of several that read a topic the last one counts.

    Commits are asked first and ends last: a mail is either in a span, or its next stage's record
    or row was there before the ends were asked. So who copies the stores afterwards misses none.
    """
    async with LogClient(bootstrap) as log:
        spans = await _spans(log, readers() if groups is None else groups)
        sent_back = await _sent_back(log, spans)
        async for record in log.read(spans):
            if record.topic != DEAD_LETTERS or _is_owed(record, sent_back):
                yield Waiting(record.topic, record.key, record.value, tuple(record.headers))
        begins = await log.begins(spans)
        for part, (first, beyond) in spans.items():
            if begins[part] > first and first < beyond:
                raise Trimmed(part)


def readers() -> GroupsTopics:
    """Every group and the topics it reads of those on which a mail's only copy may wait."""
    groups = {group: list(topics) for group, topics in mail_groups().items()}
    for topic in TOPICS:
        for watcher in topic.watchers:
            groups.setdefault(GROUP_PREFIX + watcher, []).append(topic.name)
    return groups


async def put_back(river: KafkaPublisher, path: Path) -> int:
    """Publish the records of a file made by `write`, in its order; how many there were.

    Waits for the broker without end. Safe to repeat. Fatal: a record of a topic that we have not.
    """
    count = 0
    for batch in _batches(read(path)):
        count += len(batch)
        while True:
            try:
                await river.publish_all_raw(batch)
            except BrokerUnavailable as error:
                _log.warning("waiting to put back record %d: %s", count, error)
                await asyncio.sleep(_RETRY_S)
            else:
                break
    return count


async def write(path: Path, records: AsyncIterator[Waiting]) -> dict[str, int]:
    """Write `records` one behind the other, each after its length; how many of each topic."""
    counts: dict[str, int] = {}
    with path.open("wb") as file:
        async for record in records:
            raw = _encode(record)
            file.write(len(raw).to_bytes(_LENGTH_BYTES, "big") + raw)
            counts[record.topic] = counts.get(record.topic, 0) + 1
    return counts


def read(path: Path) -> Iterator[Waiting]:
    """The records of a file made by `write`. Fatal: a topic that this version has not."""
    with path.open("rb") as file:
        while prefix := file.read(_LENGTH_BYTES):
            record = _decode(file.read(int.from_bytes(prefix, "big")))
            if record.topic not in BY_NAME:
                raise Fatal(f"{path}: there is no topic {record.topic} here")
            yield record


async def _spans(log: LogClient, groups: GroupsTopics) -> Spans:
    committed = {group: await log.committed(group) for group in groups}
    topics = {topic for topics in groups.values() for topic in topics}
    parts = await log.partitions({*topics, DEAD_LETTERS})
    begins = await log.begins(parts)
    ends = await log.ends(parts)
    spans: Spans = {}
    for part in parts:
        firsts = [committed[group].get(part, -1) for group in groups if part.topic in groups[group]]
        at = min(firsts, default=-1)
        spans[part] = (at if begins[part] <= at <= ends[part] else begins[part], ends[part])
    return spans


async def _sent_back(log: LogClient, spans: Spans) -> set[str]:
    """Ids of the dead letters that have a mark."""
    letters = {part: span for part, span in spans.items() if part.topic == DEAD_LETTERS}
    return {mark.letter_id async for record in log.read(letters) if (mark := mark_of(record))}


def _is_owed(record: Any, sent_back: set[str]) -> bool:
    """A letter without a mark; marks themselves stay behind."""
    return mark_of(record) is None and id_of(record) not in sent_back


def _batches(records: Iterable[Waiting]) -> Iterator[list[Waiting]]:
    batch: list[Waiting] = []
    size_bytes = 0
    for record in records:
        batch.append(record)
        size_bytes += len(record.value or b"")
        if len(batch) == _BATCH_RECORDS or size_bytes >= _BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch
