"""A harness that has ended takes no event: its ack would pass events that were cancelled."""

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace

from faust.types import TP
from mode import Service

from streams.worker.consumer import RecordsSkipped, RewindingConsumer
from streams.worker.harness import Harness
from tests.streams.worker.test_harness import Handling


def ended_but(folder, held: set[int]) -> Handling:
    """Handling in which only the events with an offset in `held` do not end."""
    handling = Handling(folder, in_flight=4)
    handling.end(*({*range(21)} - held))
    return handling


def event(offset: int, acked: list[int]):
    message = SimpleNamespace(
        topic="t", partition=0, offset=offset, key=b"k", value=b"v", headers=()
    )
    return SimpleNamespace(message=message, ack=lambda: acked.append(offset))


async def test_an_event_that_comes_after_the_end_is_not_acknowledged(tmp_path) -> None:
    acked: list[int] = []
    app = SimpleNamespace(consumer=SimpleNamespace(on_buffer_full=list, on_buffer_drop=list))
    harness = Harness(app, ended_but(tmp_path, {2}), on_fatal=lambda error: None)
    for offset in (1, 2):
        harness._take(event(offset, acked))
    await asyncio.sleep(0.01)
    assert acked == [1]
    await harness.drain(0.05)
    harness._take(event(3, acked))
    await asyncio.sleep(0.01)
    assert acked == [1]
    assert TP("t", 0) not in harness._windows


async def test_a_skipped_record_is_fatal_and_what_follows_is_not_acknowledged(tmp_path) -> None:
    acked: list[int] = []
    fatal: list[BaseException] = []
    app = SimpleNamespace(consumer=SimpleNamespace(on_buffer_full=list, on_buffer_drop=list))
    harness = Harness(app, ended_but(tmp_path, set()), on_fatal=fatal.append)
    for offset in (4, 5, 4, 5, 7):  # a repeat is harmless, 6 is missing
        harness._take(event(offset, acked))
    await asyncio.sleep(0.01)
    assert acked == [4, 5, 4, 5]
    assert isinstance(fatal[0], RecordsSkipped)
    await harness.revoke([TP("t", 0)])
    harness._take(event(20, acked))  # a new assignment may begin at any offset
    await asyncio.sleep(0.01)
    assert acked[-1] == 20


async def test_a_gap_ends_the_worker_and_is_never_counted_as_done() -> None:
    crashes: list[BaseException] = []

    async def crash(reason: BaseException) -> None:
        crashes.append(reason)

    consumer = SimpleNamespace(app=SimpleNamespace(crash=crash), _gap={})
    await RewindingConsumer._add_gap(consumer, TP("t", 0), 6, 7)
    assert isinstance(crashes[0], RecordsSkipped)
    assert consumer._gap == {}


class CommittedOffsets:
    """The thread of a consumer: answers committed offsets, and records seeks."""

    def __init__(self, offsets: dict[TP, int | None]) -> None:
        self.offsets = offsets
        self.rewound: list[tuple[TP, ...]] = []

    async def seek_to_committed(self) -> dict[TP, int | None]:
        return self.offsets

    async def seek_to_beginning(self, *partitions: TP) -> None:
        self.rewound.append(partitions)


async def rewound(offsets: dict[TP, int | None]) -> list[tuple[TP, ...]]:
    thread = CommittedOffsets(offsets)
    topics = SimpleNamespace(acks_enabled_for=lambda topic: topic == "t")
    consumer = RewindingConsumer.__new__(RewindingConsumer)
    consumer.app, consumer._thread = SimpleNamespace(topics=topics), thread
    assert await consumer.seek_to_committed() == offsets
    return thread.rewound


async def test_partitions_without_a_commit_are_read_from_their_beginning_and_no_others() -> None:
    offsets = {TP("t", 0): 7, TP("t", 1): None, TP("t", 2): 0, TP("changelog", 1): None}
    assert await rewound(offsets) == [(TP("t", 1), TP("t", 2))]
    # A seek without partitions would rewind every assigned partition.
    assert await rewound({TP("t", 0): 7, TP("changelog", 0): None}) == []


class DeliveringConsumer(RewindingConsumer):
    """A consumer without a broker; deliveries wait for `gate`, `stops` stops the flow."""

    def __init__(self) -> None:
        Service.__init__(self)
        self.gate, self.stops, self.taken = asyncio.Event(), asyncio.Event(), []

    def deliver(self) -> Awaitable[object]:
        return self.wait_first(self._take(), self.stops.wait())

    async def _take(self) -> None:
        await self.gate.wait()
        self.taken.append("taken")


async def test_a_record_is_delivered_at_once_or_once_it_may() -> None:
    consumer = DeliveringConsumer()
    waiting = asyncio.ensure_future(consumer.deliver())
    await asyncio.sleep(0.01)
    assert consumer.taken == []
    consumer.gate.set()
    await waiting
    assert consumer.taken == ["taken"]
    await consumer.deliver()
    assert consumer.taken == ["taken", "taken"]


async def test_a_waiting_delivery_is_cancelled_when_the_flow_stops() -> None:
    consumer = DeliveringConsumer()
    waiting = asyncio.ensure_future(consumer.deliver())
    await asyncio.sleep(0.01)
    consumer.stops.set()
    await waiting
    consumer.gate.set()
    await asyncio.sleep(0.01)
    assert consumer.taken == []
