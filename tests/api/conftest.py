"""Worlds for the edge's tests."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from edge_world import World

from api.config import ApiConfig


@pytest.fixture
async def make_world() -> AsyncIterator[Callable[..., Awaitable[World]]]:
    """Open a world with these settings of ApiConfig."""
    worlds: list[World] = []

    async def make(**settings: Any) -> World:
        world = World(config=ApiConfig(port=0, **settings))
        await world.open()
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        await world.close()


@pytest.fixture
async def world(make_world: Callable[..., Awaitable[World]]) -> World:
    return await make_world()
