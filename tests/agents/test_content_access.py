"""Memory budget: large contents wait in order of request, and always free their memory."""

import asyncio

import pytest

from agents.content_access import MemoryBudget


async def test_what_does_not_fit_waits_its_turn() -> None:
    budget, order = MemoryBudget(100), []
    release = asyncio.Event()

    async def use(name: str, size_bytes: int) -> None:
        async with budget.room(size_bytes):
            order.append(name)
            await release.wait()

    tasks = [asyncio.create_task(use(n, s)) for n, s in (("a", 60), ("b", 500), ("c", 10))]
    await asyncio.sleep(0.01)
    assert order == ["a"]  # b waits for all of it, and c does not overtake b
    release.set()
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c"]


async def test_a_waiter_that_is_cancelled_takes_nothing() -> None:
    budget = MemoryBudget(100)
    async with budget.room(100):
        waiter = asyncio.create_task(budget.room(1).__aenter__())
        await asyncio.sleep(0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
    async with asyncio.timeout(20), budget.room(100):
        pass


async def test_room_is_given_back_after_a_failure() -> None:
    budget = MemoryBudget(100)
    with pytest.raises(RuntimeError):
        async with budget.room(100):
            raise RuntimeError("broken mail")
    async with asyncio.timeout(20), budget.room(100):
        pass
