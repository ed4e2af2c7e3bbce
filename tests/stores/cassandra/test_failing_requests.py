"""An owner of two mailboxes whose requests fail: not sent, done without an answer, or done later.

So they fail while a node is away, or is stopped and goes on. The owner tries each command again.
POSTRIVER_SEED is the first seed, POSTRIVER_SEEDS the number of seeds.
"""

import asyncio
import os
import random
from typing import Any

import pytest

from mail.errors import StoreUnavailable
from stores.cassandra.session import CassandraSession, Row
from tests.stores.cassandra.conftest import ScopedSession
from tests.stores.cassandra.two_owners import NarrowGenerator, Owner, OwnerSession, check_mailboxes

pytestmark = pytest.mark.distributed
SEEDS = int(os.environ.get("POSTRIVER_SEEDS", "12"))
FIRST = int(os.environ.get("POSTRIVER_SEED", "0"))
SHARES = (0.005, 0.01, 0.03)  # of requests that fail
LATE_MAX_S = 0.1
TOGETHER = (2, 5, 16)  # deliveries, and messages in a chunk


class FailingSession(OwnerSession):
    """Fails by `dice`, until `dice` is None."""

    dice: random.Random | None = None
    share = 0.0

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self.late: list[asyncio.Task[None]] = []

    async def _answer(self, statement: Any, **more: Any) -> list[Row]:
        dice = self.dice
        if dice is None or dice.random() >= self.share:
            return await super()._answer(statement, **more)
        how = dice.choice(("not sent", "done", "late"))
        if how == "done":
            await super()._answer(statement, **more)
        elif how == "late":
            at_s = dice.random() * LATE_MAX_S
            self.late.append(asyncio.create_task(self._answer_later(statement, at_s)))
        raise StoreUnavailable("cassandra", how)

    async def _answer_later(self, statement: Any, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await super()._answer(statement)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
async def test_each_command_has_its_effect_once_whatever_requests_fail(
    connected: CassandraSession, session: ScopedSession, seed: int
) -> None:
    dice = random.Random(seed)
    log = NarrowGenerator(dice).log(dice.randrange(20, 60))
    failing = FailingSession.of(connected, session.scope)
    failing.dice, failing.share = random.Random(seed), dice.choice(SHARES)
    owner = Owner(failing, log, dice.choice(TOGETHER))
    await owner.handle_with_restarts(lambda: len(log))
    failing.dice = None
    await asyncio.gather(*failing.late)
    await check_mailboxes(owner.outcomes, log, session)
