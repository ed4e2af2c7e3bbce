"""waiting: what stands in the log before its readers, taken out of one log and put into another.

A backup keeps these records instead of the broker's files, which cannot be copied in one moment.
Taken: what a mail's readers have not committed, under the same keys, so that every stage recognises
by the ids inside what it has done; and all of dead.letters, partition by partition, so that letters
keep their ids, and marks mean the letters that they meant.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from aiokafka import TopicPartition

from mail.errors import BrokerUnavailable, Fatal
from schemas.events.mailbox_events import Position
from streams.config import Bootstrap
from streams.log_client import LogClient, Offsets
from streams.origin_header import header_of
from streams.publisher import KafkaPublisher
from streams.readers.lag import GroupsTopics, all_groups
from streams.topology import BY_NAME, DEAD_LETTERS, GROUP_PREFIX, TOPICS

_log = logging.getLogger(__name__)
_BATCH_RECORDS = 200  # in one acknowledgement
_BATCH_BYTES = 4 * 1024 * 1024
_RETRY_S = 0.5
_LENGTH_BYTES = 4
_encode = msgspec.msgpack.Encoder().encode


class UnconsumedRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record as it stood in the log."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None  # to write it to; None: its key tells
    stood_at: tuple[int, int] | None = None  # partition and offset; None: an older version's backup


_decode = msgspec.msgpack.Decoder(UnconsumedRecord).decode


class SnapshotTrimmed(BrokerUnavailable):
    """What was finished meanwhile was removed before it was read."""

    def __init__(self, part: TopicPartition) -> None:
        super().__init__(
            f"{part.topic} partition {part.partition} was trimmed while it was read: try again"
        )


async def unfinished(bootstrap: Bootstrap, *, groups: GroupsTopics | None = None) -> Offsets:
    """From where on each partition is to be taken. BrokerUnavailable.

    `groups` and what they read; None: `readers`. Of several that read a topic the last one counts.
    What stands before these offsets has its outputs further down the river, or in the stores,
    already now: who copies the stores after this and takes the log last, misses no mail.
    """
    groups = readers() if groups is None else groups
    async with LogClient(bootstrap) as log:
        committed = {group: await log.committed(group) for group in groups}
        topics = {topic for topics in groups.values() for topic in topics}
        parts = await log.partitions({*topics, DEAD_LETTERS})
        begins, ends = await log.begins(parts), await log.ends(parts)
    first: Offsets = {}
    for part in parts:
        at = min(
            (committed[group].get(part, -1) for group in groups if part.topic in groups[group]),
            default=-1,
        )
        is_known = begins[part] <= at <= ends[part] and part.topic != DEAD_LETTERS
        first[part] = at if is_known else begins[part]
    return first


async def take(bootstrap: Bootstrap, first: Offsets) -> AsyncIterator[UnconsumedRecord]:
    """Every record from `first` to the end. BrokerUnavailable; Trimmed, after the last one."""
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


def readers() -> GroupsTopics:
    """Every group and the topics it reads.

    Those too that hold no mail's only copy: an event that the index has not read stands nowhere
    else as something to be done. One that is not published yet comes of its command, which is
    not committed then.
    """
    groups = all_groups()
    for topic in TOPICS:
        for watcher in topic.watchers:
            groups.setdefault(GROUP_PREFIX + watcher, []).append(topic.name)
    return groups


async def put_back(
    bootstrap: Bootstrap, river: KafkaPublisher, path: Path, *, epochs: Mapping[str, str]
) -> int:
    """Publish the records of a file made by `write`, in its order; how many there were.

    `epochs`, by topic: those of the log that the backup was taken of. Records of these topics get a
    header that says where they stood in it.
    For a log that nobody else writes to yet. Waits for the broker without end. Safe to repeat.
    Fatal: a record of a topic that we have not.
    """
    count = 0
    records = (_labelled(record, epochs) for record in read(path))
    for batch in _batches(_lacking(records, await _letters_there(bootstrap))):
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


async def write(path: Path, records: AsyncIterator[UnconsumedRecord]) -> dict[str, int]:
    """Write `records` one behind the other, each after its length; how many of each topic.

    Marks of dead letters are not counted.
    """
    counts: dict[str, int] = {}
    with path.open("wb") as file:
        async for record in records:
            raw = _encode(record)
            file.write(len(raw).to_bytes(_LENGTH_BYTES, "big") + raw)
            is_mark = record.value is None  # on dead.letters
            counts[record.topic] = counts.get(record.topic, 0) + (not is_mark)
    return counts


def read(path: Path) -> Iterator[UnconsumedRecord]:
    """The records of a file made by `write`. Fatal: a topic that this version has not."""
    with path.open("rb") as file:
        while prefix := file.read(_LENGTH_BYTES):
            record = _decode(file.read(int.from_bytes(prefix, "big")))
            if record.topic not in BY_NAME:
                raise Fatal(f"{path}: there is no topic {record.topic} here")
            yield record


def _labelled(record: UnconsumedRecord, epochs: Mapping[str, str]) -> UnconsumedRecord:
    epoch = epochs.get(record.topic)
    if epoch is None or record.stood_at is None:
        return record
    header = header_of(Position(epoch, *record.stood_at))
    return msgspec.structs.replace(record, headers=(*record.headers, header))


async def _letters_there(bootstrap: Bootstrap) -> dict[int, int]:
    """How many records of dead.letters an earlier try has put back, by partition."""
    async with LogClient(bootstrap) as log:
        ends = await log.ends(await log.partitions([DEAD_LETTERS]))
    return {part.partition: end for part, end in ends.items()}


def _lacking(
    records: Iterable[UnconsumedRecord], there: dict[int, int]
) -> Iterator[UnconsumedRecord]:
    for record in records:
        if record.partition is not None and there.get(record.partition, 0):
            there[record.partition] -= 1
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
