"""The single writer of a mailbox, with two workers that are killed at random.

Two processes of the role `mailbox` share a store, and are killed at random moments while commands
arrive. The result must equal a model that applies the commands of the log in order.
"""

import asyncio
import os
import random

import pytest

from stores.sqlite.mail_store.store import SqliteMailStore
from streams.config import PublisherConfig
from streams.publisher import KafkaPublisher
from tests.system.two_workers.checks import COMMANDS, check_all, drained, publish
from tests.system.two_workers.conftest import Journalled
from tests.system.two_workers.fleet import WorkerFleet
from tests.system.two_workers.mailbox_commands import CommandGenerator

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
KILLS = 6
COMMANDS_PER_ROUND = 700
WORK_MAX = 250  # changes between one kill and the next, at most
JOIN_MAX_S = 6.0  # else so long after the last kill, during a rebalance


async def test_two_workers_killed_at_random_lose_and_double_nothing(
    fleet: WorkerFleet, store: SqliteMailStore, journalled: Journalled, epochs: dict[str, str]
) -> None:
    seed = int(os.environ.get("POSTRIVER_SEED") or random.SystemRandom().randrange(10**6))
    print(f"POSTRIVER_SEED={seed}")
    generator = CommandGenerator(random.Random(seed))
    await _storm(fleet, journalled, generator, random.Random(seed + 1))
    await drained(fleet)
    assert fleet.stop() == [0, 0], fleet.logs()
    summary = await check_all(
        fleet.bootstrap, epochs[COMMANDS], store, COMMANDS_PER_ROUND * (KILLS + 1)
    )
    print(f"{summary}, {generator.repeats} repeats, {fleet.kills} kills, {fleet.fenced} fenced")


async def _storm(
    fleet: WorkerFleet, journalled: Journalled, generator: CommandGenerator, dice: random.Random
) -> None:
    """Publish rounds of commands, with a kill during each round but the last."""
    publisher = KafkaPublisher(PublisherConfig(bootstrap=fleet.bootstrap))
    await publisher.start()
    try:
        for _ in range(2):
            fleet.start()
        for _ in range(KILLS):
            publishing = asyncio.create_task(publish(publisher, generator, COMMANDS_PER_ROUND))
            await _moment(fleet, journalled, dice)
            fleet.kill(dice)
            await publishing
        await publish(publisher, generator, COMMANDS_PER_ROUND)
    finally:
        await publisher.stop()


async def _moment(fleet: WorkerFleet, journalled: Journalled, dice: random.Random) -> None:
    """Wait for the moment of a kill: two of three while commands are handled."""
    if fleet.kills and dice.random() < 1 / 3:
        ends_s = asyncio.get_running_loop().time() + dice.uniform(0, JOIN_MAX_S)
        await fleet.until(lambda: asyncio.get_running_loop().time() > ends_s)
        return
    goal = journalled() + dice.randint(1, WORK_MAX)
    await fleet.until(lambda: journalled() >= goal)
