"""Log snapshot: the log's half of a backup, exported on backup and published again on restore.

A backup stores these records instead of the broker's files, which cannot be copied at one instant.
The snapshot holds:
- the records that consumer groups have not committed, under the same keys. The ids inside are the
  same, so every stage recognises an event that it has handled already;
- all records of dead.letters, partition by partition. So dead letters keep their ids, and a mark
  still names the dead letter that it was written for.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
from aiokafka import TopicPartition

from mail.errors import BrokerUnavailable, Fatal
from schemas.events.mailbox_events import Position
from streams.config import Bootstrap
from streams.framed_file import FramedFile, values
from streams.log_client import GroupsTopics, LogClient, Offsets
from streams.origin_header import header_of
from streams.publisher import KafkaPublisher
from streams.readers.lag import all_groups
from streams.topology import BY_NAME, DEAD_LETTERS, GROUP_PREFIX, TOPICS

_log = logging.getLogger(__name__)
_BATCH_RECORDS = 200  # acknowledged together
_BATCH_BYTES = 4 * 1024 * 1024
_RETRY_S = 0.5


class UnconsumedRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record of the log."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None  # to publish it to; None: chosen by the key
    stood_at: tuple[int, int] | None = None  # partition, offset; None: backup of an older version


class SnapshotTrimmed(BrokerUnavailable):
    """Records were consumed and deleted before the snapshot had read them."""

    def __init__(self, part: TopicPartition) -> None:
        super().__init__(
            f"{part.topic} partition {part.partition} was trimmed while it was read: try again"
        )


async def first_unconsumed(bootstrap: Bootstrap, *, groups: GroupsTopics | None = None) -> Offsets:
    """Return the first offset to export, by partition. Raises BrokerUnavailable.

    `groups`: consumer groups and their topics; None: `reading_groups`. Of several groups that read
    a topic, the group furthest behind decides. dead.letters is exported from its beginning.
    The outputs of every record before these offsets are on later topics or in the stores already.
    So a backup that copies the stores after this call, and exports the log last, misses no mail.
    """
    groups = reading_groups() if groups is None else groups
    async with LogClient(bootstrap) as log:
        unconsumed = await log.unconsumed(groups)
        dead_letters = await log.begins(await log.partitions([DEAD_LETTERS]))
    first: Offsets = {}
    for spans in unconsumed.values():
        for part, (offset, _) in spans.items():
            first[part] = min(offset, first.get(part, offset))
    return first | dead_letters


async def first_written(bootstrap: Bootstrap) -> str:
    """Return a topic that has or had records; "": all are new, or do not exist.

    Raises BrokerUnavailable.
    """
    async with LogClient(bootstrap) as log:
        ends = await log.ends(await log.partitions(BY_NAME))
    return min((part.topic for part, end in ends.items() if end), default="")


async def export(bootstrap: Bootstrap, first: Offsets) -> AsyncIterator[UnconsumedRecord]:
    """Yield every record from `first` to the end of each partition.

    Raises BrokerUnavailable. Raises SnapshotTrimmed, after the last record: records from `first` on
    were deleted meanwhile.
    """
    async with LogClient(bootstrap) as log:
        ends = await log.ends(first)
        async for record in log.read({part: (at, ends[part]) for part, at in first.items()}):
            partition = record.partition if record.topic == DEAD_LETTERS else None
            headers = tuple(record.headers)
            stood_at = record.partition, record.offset
            yield UnconsumedRecord(
                record.topic, record.key, record.value, headers, partition, stood_at
            )
        begins = await log.begins(first)
        for part, at in first.items():
            if at < min(begins[part], ends[part]):
                raise SnapshotTrimmed(part)


def reading_groups() -> GroupsTopics:
    """Return every consumer group with the topics that it reads.

    Includes topics that hold no mail's only copy: that the index has still to consume an event is
    recorded nowhere else. An event that is not published yet follows from its command, which is not
    committed yet and so is exported itself.
    """
    groups = all_groups()
    for topic in TOPICS:
        for watcher in topic.watchers:
            groups.setdefault(GROUP_PREFIX + watcher, []).append(topic.name)
    return groups


async def restore(
    bootstrap: Bootstrap, publisher: KafkaPublisher, path: Path, *, epochs: Mapping[str, str]
) -> int:
    """Publish the records of a file made by `write`, in file order; return how many were published.

    `epochs`, by topic: the epochs of the log that was backed up. Records of these topics get a
    header with their position in that log.
    The log must have no other writer yet. Waits for the broker without a time limit. Safe to
    repeat: dead letters that an earlier call has published are left out, and stages recognise the
    ids of all other records. Raises Fatal: a record's topic does not exist in this version.
    """
    count = 0
    records = (_labelled(record, epochs) for record in read(path))
    for batch in _batches(_without_published(records, await _published_letters(bootstrap))):
        count += len(batch)
        while True:
            try:
                await publisher.publish_all_raw(batch)
            except BrokerUnavailable as error:
                _log.warning("waiting for the broker to publish record %d: %s", count, error)
                await asyncio.sleep(_RETRY_S)
            else:
                break
    return count


async def write(path: Path, records: AsyncIterator[UnconsumedRecord]) -> dict[str, int]:
    """Write `records` to `path`, each preceded by its length; return their number by topic.

    Marks of dead letters are not counted.
    """
    counts: dict[str, int] = {}
    with closing(FramedFile(path)) as file:
        async for record in records:
            file.add(record)
            is_mark = record.value is None  # on dead.letters
            counts[record.topic] = counts.get(record.topic, 0) + (not is_mark)
    return counts


def read(path: Path) -> Iterator[UnconsumedRecord]:
    """Yield the records of a file made by `write`.

    Raises Fatal: the file is damaged, or this version has no such topic.
    """
    for record in values(path, UnconsumedRecord):
        if record.topic not in BY_NAME:
            raise Fatal(f"{path}: there is no topic {record.topic} here")
        yield record


def _labelled(record: UnconsumedRecord, epochs: Mapping[str, str]) -> UnconsumedRecord:
    epoch = epochs.get(record.topic)
    if epoch is None or record.stood_at is None:
        return record
    header = header_of(Position(epoch, *record.stood_at))
    return msgspec.structs.replace(record, headers=(*record.headers, header))


async def _published_letters(bootstrap: Bootstrap) -> dict[int, int]:
    """Return how many records of dead.letters an earlier call has published, by partition."""
    async with LogClient(bootstrap) as log:
        ends = await log.ends(await log.partitions([DEAD_LETTERS]))
    return {part.partition: end for part, end in ends.items()}


def _without_published(
    records: Iterable[UnconsumedRecord], published: dict[int, int]
) -> Iterator[UnconsumedRecord]:
    """Leave out the first `published` records of each partition of dead.letters."""
    for record in records:
        if record.partition is not None and published.get(record.partition, 0):
            published[record.partition] -= 1
            continue
        yield record


def _batches(records: Iterable[UnconsumedRecord]) -> Iterator[list[UnconsumedRecord]]:
    batch: list[UnconsumedRecord] = []
    size_bytes = 0
    for record in records:
        batch.append(record)
        size_bytes += len(record.value or b"")
        if len(batch) == _BATCH_RECORDS or size_bytes >= _BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch
