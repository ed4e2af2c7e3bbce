"""Epochs that several `setup`s begin at once, while the topic is deleted and created again."""

import asyncio
import random

import pytest

from streams.topics.epochs import counter_of, end_epochs, ensure_epoch, epoch_of, is_of
from tests.streams.conftest import MemorySettings

NAME = "mail.received"


class SlowSettings(MemorySettings):
    """Settings of which each call takes some turns of the loop; they keep every value."""

    def __init__(self, generator: random.Random) -> None:
        super().__init__()
        self.history: list[str] = []
        self._generator = generator

    async def turns(self) -> None:
        for _ in range(self._generator.randrange(4)):
            await asyncio.sleep(0)

    async def setting(self, name: str) -> str | None:
        await self.turns()
        found = await super().setting(name)
        await self.turns()
        return found

    async def exchange_setting(self, name: str, before: str | None, after: str) -> bool:
        await self.turns()
        is_made = await super().exchange_setting(name, before, after)
        if is_made:
            self.history.append(after)
        await self.turns()
        return is_made


@pytest.mark.parametrize("seed", range(100))
async def test_an_epoch_is_begun_once_and_never_lost(seed: int) -> None:
    generator = random.Random(seed)
    settings, ids = SlowSettings(generator), ["id-0"]

    async def topic_id() -> str:
        await settings.turns()
        return ids[-1]

    async def recreate() -> None:
        for number in range(1, generator.randrange(1, 4)):
            for _ in range(generator.randrange(12)):
                await asyncio.sleep(0)
            ids.append(f"id-{number}")

    await asyncio.gather(*(ensure_epoch(settings, NAME, topic_id) for _ in range(3)), recreate())
    last = await ensure_epoch(settings, NAME, topic_id)
    assert is_of(last, ids[-1])
    assert settings.history[-1] == last
    counters = [counter_of(epoch) for epoch in settings.history]
    assert counters == sorted(set(counters)), "a counter only grows"
    began = [epoch.partition(":")[2] for epoch in settings.history]
    assert began == sorted(set(began)), "one epoch for each topic, in the order of the topics"


async def test_an_epoch_that_was_ended_does_not_go_on_with_the_same_topic() -> None:
    async def same() -> str:
        return "id"

    settings = MemorySettings()
    first = await ensure_epoch(settings, NAME, same)
    assert await ensure_epoch(settings, NAME, same) == first
    for _ in range(2):  # as after a kill
        await end_epochs(settings, [NAME, "never.begun"])
    assert counter_of(await ensure_epoch(settings, NAME, same)) > counter_of(first)
    assert await epoch_of(settings, "never.begun") is None
