"""Submission timer: what is due is sent, by rare repeats in an outage, and after clock jumps."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from agents.background.submission_timer import REPEAT_S, SubmissionTimer
from mail.clock_guard import ClockGuard
from schemas.submissions import HELD, QUEUED
from stores.memory import MemorySubmissions
from tests.contracts.submissions import after, submission

HOUR_MS = 3_600_000


@dataclass
class World:
    """A timer whose clocks are set by hand; `published` has the ids of its commands."""

    submissions: MemorySubmissions = field(default_factory=MemorySubmissions)
    wall_ms: int = 1_000_000
    boot_ms: int = 0
    published: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.timer = SubmissionTimer(
            self.submissions,
            self,
            lambda: (3,),
            clock=ClockGuard(lambda: self.wall_ms, lambda: self.boot_ms),
            clock_s=lambda: self.boot_ms / 1000,
        )

    async def publish(self, *events: Any) -> None:
        self.published += [event.submission_id for event in events]

    async def hold(self, name: str, for_s: int, partition: int = 3) -> None:
        await self.submissions.put(
            submission(
                name,
                status=HELD,
                created_at_ms=self.wall_ms,
                fire_at_ms=self.wall_ms + for_s * 1000,
                partition=partition,
            )
        )

    async def pass_by(self, seconds: float, *, jump_ms: int = 0) -> list[str]:
        """Let time pass, and the wall clock jump; return what the timer publishes then."""
        self.wall_ms += int(seconds * 1000) + jump_ms
        self.boot_ms += int(seconds * 1000)
        self.published.clear()
        await self.timer.turn()
        return self.published


@pytest.fixture
def world() -> World:
    return World()


async def test_only_what_is_due_and_in_own_partitions(world: World) -> None:
    await world.hold("soon", 10)
    await world.hold("later", 20)
    await world.hold("of another process", 10, partition=4)
    assert await world.pass_by(9) == []
    assert await world.pass_by(1) == ["soon"]
    assert await world.pass_by(10) == ["later"]


async def test_while_nothing_handles_a_command_it_is_repeated_rarely(world: World) -> None:
    await world.hold("s1", 1)
    assert await world.pass_by(1) == ["s1"]
    assert [await world.pass_by(REPEAT_S / 6) for _ in range(5)] == [[]] * 5
    assert await world.pass_by(REPEAT_S / 6) == ["s1"]
    row = await world.submissions.get("s1")
    await world.submissions.put(after(row, status=QUEUED))
    assert await world.pass_by(2 * REPEAT_S) == []


@pytest.mark.parametrize("jump_ms", [9_000 * HOUR_MS, -9_000 * HOUR_MS])
async def test_after_a_jump_of_the_clock_the_hold_is_measured_here(
    world: World, jump_ms: int
) -> None:
    await world.hold("undo", 10)
    await world.hold("next week", 7 * 24 * 3600)
    assert await world.pass_by(1, jump_ms=jump_ms) == []
    assert await world.pass_by(8) == []
    assert await world.pass_by(2) == ["undo"]
    assert await world.pass_by(3600) == ["undo"], "still held: its row was not handled"
