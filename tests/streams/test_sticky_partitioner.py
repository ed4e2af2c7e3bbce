"""Sticky partitioner: unordered topics in turn, ordered topics by key."""

import asyncio
import itertools
import os

import pytest

from streams.codec import decode_of
from streams.config import PublisherConfig
from streams.publisher import KafkaPublisher
from streams.sticky_partitioner import TURN_MAX_BYTES, TURN_S, StickyPartitioner
from streams.topics.admin import ensure_topics
from streams.topology import STAGES, TOPICS
from tests.streams.conftest import MemorySettings, read_all
from tests.streams.small import Note, topic

_numbers = itertools.count()


def test_records_of_one_moment_share_a_partition_and_all_partitions_take_turns():
    turns = StickyPartitioner()
    first = {turns.partition("t", 3, 100, now_s) for now_s in (1.0, 1.0, 1.0 + TURN_S / 2)}
    assert len(first) == 1
    later = [turns.partition("t", 3, 100, 2.0 + n * TURN_S) for n in range(3)]
    assert sorted(later) == [0, 1, 2]


def test_large_records_end_a_turn_and_no_record_is_too_large():
    turns = StickyPartitioner()
    half = [turns.partition("t", 12, TURN_MAX_BYTES // 2, 1.0) for _ in range(4)]
    assert half[0] == half[1] != half[2] == half[3]
    huge = [turns.partition("t", 12, TURN_MAX_BYTES * 2, 1.0) for _ in range(12)]
    assert sorted(huge) == list(range(12))


def test_only_unordered_topics_have_any_partition():
    ordered = {stage.reads for stage in STAGES if stage.ordered}
    free = {one.name for one in TOPICS if one.any_partition}
    assert free == {
        "mail.received", "mail.submitted", "mail.rejected", "mail.validated", "mail.scanned",
    }  # fmt: skip
    assert not free & ordered


@pytest.mark.kafka
@pytest.mark.parametrize("free", [True, False])
async def test_on_a_broker(broker, topics_config, free):
    name = f"turns.{os.getpid()}.{next(_numbers)}"
    notes = topic(name, (Note,), any_partition=free)
    await ensure_topics(topics_config, MemorySettings(), topics=(notes,))
    publisher = KafkaPublisher(PublisherConfig(bootstrap=broker.bootstrap), topic_of={Note: notes})
    await publisher.start()
    await publisher.publish(Note(key="first", number=0))  # the partitions are known from here on
    for first in range(100, 500, 100):
        await asyncio.gather(
            *(publisher.publish(Note(key=f"k{n}", number=first + n)) for n in range(20))
        )
    await publisher.stop()
    homes: dict[int, set[int]] = {}
    for each in await read_all(broker.bootstrap, name):
        note = decode_of(notes, each.offset, each.value)
        homes.setdefault(note.number // 100, set()).add(each.partition)
    together = min(len(homes[number]) for number in range(1, 5))
    assert together < 3 if free else together == 3
