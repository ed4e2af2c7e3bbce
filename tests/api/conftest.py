"""Fixtures: a running API over memory adapters (tests/support/edge_world.py)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvloop

from api.config import ApiConfig
from edge.request_tokens import MakeTokens, local_tokens
from tests.support.edge_world import World


def pytest_asyncio_loop_factories(config, item):
    """Run connection limit tests on both event loops: TLS and closing differ."""
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return loops if item.path.name == "test_connection_limits.py" else {"asyncio": loops["asyncio"]}


@pytest.fixture
async def make_world() -> AsyncIterator[Callable[..., Awaitable[World]]]:
    """Return a function that opens a world with the given settings of ApiConfig."""
    worlds: list[World] = []

    async def make(*, make_tokens: MakeTokens = local_tokens, **settings: Any) -> World:
        world = World(config=ApiConfig(port=0, **settings), make_tokens=make_tokens)
        await world.open()
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        await world.close()


@pytest.fixture
async def world(make_world: Callable[..., Awaitable[World]]) -> World:
    return await make_world()
