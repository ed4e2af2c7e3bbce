"""Harness without a broker: its records, its limit of the buffer, a revoke, and stalls."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from faust.types import TP

from mail.errors import StoreUnavailable
from streams.config import Bootstrap, StreamsConfig
from streams.worker.event_handling import ReceivedEvent
from streams.worker.harness import Harness
from streams.worker.status import RoleStatus

PART, OTHER = TP("t", 0), TP("t", 1)


class Handling:
    """EventHandling whose events end when the test calls `end`."""

    def __init__(self, folder: Path, *, in_flight: int = 1, **config) -> None:
        self.stage = SimpleNamespace(name="s", in_flight=in_flight, ordered=False)
        self.topic = SimpleNamespace(name="t")
        self.handler = SimpleNamespace(handle_together=None)
        streams = StreamsConfig(
            bootstrap=Bootstrap("-"), worker="w", data_folder=folder, revoke_limit_s=20.0, **config
        )
        self.worker = SimpleNamespace(config=streams, status=RoleStatus())
        self.received: list[ReceivedEvent] = []
        self.is_current: dict[tuple[int, int], Callable[[], bool]] = {}
        self.cancelled: list[tuple[int, int]] = []
        self.forgotten: list[int] = []
        self.wakes = 0
        self._gates: dict[tuple[int, int], asyncio.Event] = {}

    def _gate(self, part: int, offset: int) -> asyncio.Event:
        return self._gates.setdefault((part, offset), asyncio.Event())

    def end(self, *offsets: int, part: int = 0) -> None:
        for offset in offsets:
            self._gate(part, offset).set()

    def forget(self, partition: int) -> None:
        self.forgotten.append(partition)

    def wake(self) -> None:
        self.wakes += 1

    async def handle(self, received: ReceivedEvent, is_current: Callable[[], bool]) -> None:
        self.received.append(received)
        place = received.partition, received.offset
        self.is_current[place] = is_current
        try:
            await self._gate(*place).wait()
        except asyncio.CancelledError:
            self.cancelled.append(place)
            raise


class Rig:
    """A harness whose consumer records when a partition's buffer is full."""

    def __init__(self, folder: Path, **config) -> None:
        self.stopped: set[TP] = set()
        self.acked: list[tuple[int, int]] = []
        self.fatal: list[BaseException] = []
        consumer = SimpleNamespace(
            on_buffer_full=self.stopped.add,
            on_buffer_drop=self.stopped.remove,
        )
        self.handling = Handling(folder, **config)
        self.status: RoleStatus = self.handling.worker.status
        app = SimpleNamespace(consumer=consumer)
        self.harness = Harness(app, self.handling, on_fatal=self.fatal.append)

    async def take(self, *offsets: int, part: int = 0, **fields) -> None:
        for offset in offsets:
            message = SimpleNamespace(
                topic="t", partition=part, offset=offset, key=b"k", value=b"v" * 10, headers=()
            )
            vars(message).update(fields)
            place = part, offset
            self.harness._take(
                SimpleNamespace(message=message, ack=lambda place=place: self.acked.append(place))
            )
        await self.settle()

    async def end(self, *offsets: int, part: int = 0) -> None:
        self.handling.end(*offsets, part=part)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


async def test_a_record_is_handled_with_its_key_its_value_and_its_headers(tmp_path) -> None:
    rig = Rig(tmp_path)
    await rig.take(3, key=b"user", value=b"mail", headers=[("origin", b"1")])
    await rig.take(4, part=1, key=None, value=None, headers=None)
    assert rig.handling.received == [
        ReceivedEvent(
            partition=0, offset=3, key=b"user", value=b"mail", headers=[("origin", b"1")]
        ),
        ReceivedEvent(partition=1, offset=4, key=b"", value=b"", headers=()),
    ]
    await rig.end(3)
    await rig.end(4, part=1)
    assert rig.acked == [(0, 3), (1, 4)]


@pytest.mark.parametrize("limit", [{"buffer_max_events": 4}, {"buffer_max_bytes": 40}])
async def test_a_full_buffer_stops_the_fetch_of_its_partition_until_it_is_half_empty(
    tmp_path, limit
) -> None:
    """One event runs; the others wait in the buffer."""
    rig = Rig(tmp_path, **limit)
    await rig.take(0, part=1)
    await rig.take(0, 1, 2, 3)
    assert rig.stopped == set()
    await rig.take(4)
    assert rig.stopped == {PART}
    await rig.end(0, 1)
    assert rig.stopped == {PART}, "it is half full"
    await rig.end(2, 3)
    assert rig.stopped == set()
    await rig.take(5, 6, 7, 8, 9)
    assert rig.stopped == {PART}
    await rig.end(4, 5, 6, 7, 8, 9)
    assert rig.stopped == set()
    assert rig.acked == [(0, offset) for offset in range(10)]
    await rig.harness.revoke([PART, OTHER])


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize(("what", "each"), [("buffer_max_events", 1), ("buffer_max_bytes", 10)])
async def test_a_partition_is_fetched_again_below_half_of_its_buffer_and_not_at_half(
    tmp_path, size: int, what: str, each: int
) -> None:
    """Each acknowledgement decides: with four waiting events at 3 of 4, 2 of 4, then 1 of 4."""
    rig = Rig(tmp_path, **{what: size * each})
    await rig.take(*range(size + 1))
    for offset in range(3):
        await rig.end(offset)
        assert rig.stopped == {PART}, offset
    await rig.end(3)
    assert rig.stopped == set()
    await rig.harness.revoke([PART])


async def test_a_revoke_cancels_the_events_of_the_lost_partitions_and_no_others(tmp_path) -> None:
    rig = Rig(tmp_path)
    for part in (0, 1):
        await rig.take(5, 6, part=part)
    await rig.harness.revoke([PART, TP("other", 1)])
    assert rig.handling.cancelled == [(0, 5)]
    assert rig.handling.forgotten == [0], "partition 1 is one of another topic"
    assert not rig.handling.is_current[0, 5]()
    assert rig.handling.is_current[1, 5]()
    await rig.end(5, 6)
    await rig.end(5, 6, part=1)
    assert (rig.acked, rig.fatal) == ([(1, 5), (1, 6)], [])


async def test_a_partition_whose_oldest_event_does_not_move_is_stalled(tmp_path) -> None:
    rig = Rig(tmp_path)
    rig.status.assigned([("t", 0), ("t", 1)])
    rig.status.moved_s["t", 0] = time.monotonic() - 1_000.0
    assert rig.harness.stalled(0.0) is None, "no event runs"
    await rig.take(0)
    rig.harness._windows[PART]._running[0].started_s -= 500.0
    assert (rig.harness.stalled(400.0) or "").startswith("t/0 has not moved for 500 s")
    assert rig.harness.stalled(600.0) is None
    slot = ("s", "t", 0)
    rig.status.hold(slot, 0, StoreUnavailable("store"))
    assert rig.harness.stalled(400.0) is None, "the event is held"
    rig.status.release(slot, 0)
    rig.status.moved_s["t", 0] = time.monotonic() - 450.0
    assert rig.harness.stalled(400.0) is not None
    await rig.end(0)
    await rig.take(1)
    assert rig.harness.stalled(400.0) is None, "another event runs since now"
    await rig.harness.drain(0.0)


async def test_requests_of_operators_wake_the_held_events(tmp_path) -> None:
    rig = Rig(tmp_path)
    rig.harness.wake()
    assert rig.handling.wakes == 1
