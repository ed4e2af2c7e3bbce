"""Harness: events of one key that are handled together or alone, and the end of running events."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from streams.worker.event_handling import ReceivedEvent
from tests.streams.worker.test_harness import PART, Rig
from tests.streams.worker.test_harness_end import DeliveringConsumer


class TogetherRig(Rig):
    """A rig whose stage handles several events of a key together, if `accepts`."""

    def __init__(self, folder, *, accepts: bool) -> None:
        super().__init__(folder, in_flight=4)
        self.accepts = accepts
        self.groups: list[list[int]] = []
        self.handling.stage.ordered = True
        self.handling.handler.handle_together = self._together
        self.handling.handle_together = self._together

    async def _together(
        self, received: Sequence[ReceivedEvent], is_current: Callable[[], bool]
    ) -> bool:
        assert is_current()
        self.groups.append([one.offset for one in received])
        return self.accepts

    @property
    def alone(self) -> list[int]:
        return [one.offset for one in self.handling.received]


async def test_events_that_are_handled_together_are_acknowledged_and_not_handled_again(
    tmp_path,
) -> None:
    rig = TogetherRig(tmp_path, accepts=True)
    await rig.take(0, 1, 2)
    assert (rig.groups, rig.alone) == ([[0, 1, 2]], [])
    assert rig.acked == [(0, 0), (0, 1), (0, 2)]


async def test_events_that_are_declined_together_are_handled_one_by_one(tmp_path) -> None:
    rig = TogetherRig(tmp_path, accepts=False)
    await rig.take(0, 1, 2)
    assert (rig.groups, rig.alone, rig.acked) == ([[0, 1, 2]], [0], [])
    await rig.end(0)
    assert (rig.alone, rig.acked) == ([0, 1], [(0, 0)])
    await rig.end(1, 2)
    assert (rig.groups, rig.alone) == ([[0, 1, 2]], [0, 1, 2])
    assert rig.acked == [(0, 0), (0, 1), (0, 2)]


async def test_a_single_event_is_handled_by_itself(tmp_path) -> None:
    rig = TogetherRig(tmp_path, accepts=True)
    await rig.take(0)
    assert (rig.groups, rig.alone, rig.acked) == ([], [0], [])
    await rig.end(0)
    assert rig.acked == [(0, 0)]
    await rig.harness.revoke([PART])


@pytest.mark.parametrize("idle", [False, True], ids=["one partition", "an idle one too"])
async def test_a_drain_waits_for_events_that_run_and_no_longer(tmp_path, *, idle: bool) -> None:
    rig = Rig(tmp_path)
    if idle:
        await rig.take(0, part=1)
        await rig.end(0, part=1)
    await rig.take(0)
    drain = asyncio.create_task(rig.harness.drain(60.0))
    await rig.settle()
    assert not drain.done()
    assert rig.handling.cancelled == []
    await rig.end(0)
    async with asyncio.timeout(20):
        await drain
    assert (0, 0) in rig.acked
    assert rig.handling.cancelled == []


async def test_other_tasks_run_between_deliveries_that_need_not_wait() -> None:
    consumer, turns = DeliveringConsumer(), 0
    consumer.gate.set()

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(20):
        await consumer.deliver()
    task.cancel()
    assert turns >= 20
