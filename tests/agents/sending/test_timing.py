"""Undo, schedule, fire and cancel in every order, over restarts, crashes and jumps of the clock."""

import asyncio
import random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.background.submission_timer import REPEAT_S, SubmissionTimer
from mail.clock_guard import ClockGuard
from schemas.events.mailbox_commands import Deliver
from schemas.submissions import CANCELED, SENT
from tests.agents.sending.world import AT_MS, SendingWorld, cancel, submit

HOUR_S, DAY_S, YEAR_S = 3600, 86_400, 366 * 86_400
HOLDS_S = (0, 1, 10, HOUR_S, 30 * DAY_S)
BOB = "bob@postriver.test"
number = st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("submit"), st.sampled_from(HOLDS_S)),
    st.tuples(st.just("cancel"), number),
    st.tuples(st.just("pass"), st.sampled_from((0.5, 5, 11, HOUR_S, DAY_S))),
    st.tuples(st.just("jump"), st.sampled_from((-YEAR_S, -2 * HOUR_S, -60, 60, DAY_S, YEAR_S))),
    st.tuples(st.just("handle"), st.integers(1, 6)),
    st.tuples(st.just("crash"), st.integers(1, 5)),
    st.tuples(st.just("restart"), st.none()),
)


class Play:
    """Submissions of ann to bob, the timer's process, and the clocks, set by hand."""

    def __init__(self, seed: int) -> None:
        self.wall_s, self.boot_s = AT_MS / 1000, 0.0
        self.world = SendingWorld(random.Random(seed))
        self.holds: dict[str, tuple[float, float]] = {}  # by id: boot time, and seconds
        self.jumped_at_s = -1.0  # of the boot clock
        self.turned_back_s = 0.0  # of the wall clock, all jumps together
        self.cancels: list[Any] = []
        self.restart()

    def restart(self) -> None:
        """A new process: it trusts the clock as it is."""
        self.clock = ClockGuard(lambda: int(self.wall_s * 1000), lambda: int(self.boot_s * 1000))
        self.timer = SubmissionTimer(
            self.world.submissions, self, lambda: (0,), clock=self.clock,
            clock_s=lambda: self.boot_s,
        )  # fmt: skip

    async def publish(self, *events: Any) -> None:
        """What the timer sends is due: by this clock while it is in doubt, else by the wall's."""
        for event in events:
            held_at_s, hold_s = self.holds[event.submission_id]
            if self.clock.moved() is not None or self.jumped_at_s < held_at_s:
                assert self.boot_s - held_at_s >= hold_s - 0.001, "before its time"
        self.world.publish(*events)

    async def act(self, step: str, value: Any) -> None:
        match step:
            case "submit" if len(self.holds) < 4:
                name, now_ms = f"m{len(self.holds)}", int(self.wall_s * 1000)
                self.holds[name] = self.boot_s, value
                fire_at_ms = now_ms + value * 1000 if value else 0
                self.world.publish(submit(name, BOB, at_ms=now_ms, fire_at_ms=fire_at_ms))
            case "cancel" if value < len(self.holds):  # an owner knows what was submitted
                command = cancel(f"m{value}", f"cancel {len(self.cancels)}")
                self.cancels.append(command)
                self.world.publish(command)
            case "pass":
                self.wall_s += value
                self.boot_s += value
            case "jump":
                self.wall_s += value
                self.jumped_at_s = self.boot_s
                self.turned_back_s += max(0, -value)
            case "handle":
                await self.world.handle(value)
            case "crash":
                self.world.crash(value)
            case "restart":
                self.restart()
        await self.timer.turn()

    async def end(self) -> None:
        """Handle everything, and let the longest hold pass by both clocks.

        A process that started at a wrong time knows no other: what is held waits for the wall
        clock to come back to where it was.
        """
        for seconds in (0, max(HOLDS_S), REPEAT_S, YEAR_S + self.turned_back_s, REPEAT_S):
            await self.act("pass", seconds)
            await self.world.settle()

    async def check(self) -> None:
        """Each mail was sent once or is a draft once, as the answers to its owner say."""
        messages = [each for each in self.world.commands.values() if isinstance(each, Deliver)]
        confirmed = {
            each.submission_id for each in self.cancels if not self.world.note(each).outcome
        }
        for name in self.holds:
            row = await self.world.row(name)
            assert row.status == (CANCELED if name in confirmed else SENT)
            places = [(each.user_id, each.folder_id) for each in messages if each.mail_id == name]
            sent = [("ann", "sent"), ("bob", "inbox")]
            assert sorted(places) == ([("ann", "drafts")] if name in confirmed else sent)


TWO_YEARS_BACK = [("submit", 1), ("jump", -YEAR_S), ("jump", -YEAR_S), ("restart", None)]


@settings(max_examples=60, deadline=None)
@example(TWO_YEARS_BACK, 0)
@given(st.lists(STEPS, max_size=25), st.integers(0, 1_000))
def test_a_mail_is_sent_once_or_canceled_as_the_answers_say(
    steps: list[tuple[str, Any]], seed: int
) -> None:
    async def run() -> None:
        play = Play(seed)
        await play.world.prepare()
        for step, value in steps:
            await play.act(step, value)
        await play.end()
        await play.check()

    asyncio.run(run())
