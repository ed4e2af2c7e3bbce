"""Leases of maildrops among processes, over the SQLite store that they share."""

import asyncio
from pathlib import Path

import pytest

from mail.errors import StoreUnavailable
from pop3.maildrop_leases import LEASE_MS, RENEWAL_S, MaildropLeases
from stores.memory import MemoryAttempts
from stores.sqlite.attempts import SqliteAttempts

RENEWAL_MS = int(RENEWAL_S * 1000)


class Clock:
    now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def processes(tmp_path: Path, clock: Clock):
    """Two processes with connections of their own to one file."""
    stores = [await SqliteAttempts.open(tmp_path / "attempts.sqlite") for _ in range(2)]
    yield [MaildropLeases(store, clock_ms=clock) for store in stores]
    for store in stores:
        await store.close()


async def test_one_process_has_a_maildrop_until_it_releases_it(processes) -> None:
    one, two = processes
    assert await one.take("ann")
    assert not await two.take("ann")
    assert not await one.take("ann")
    assert await two.take("bob")
    one.release("ann")
    assert await one.take("ann"), "the same process need not wait"
    one.release("ann")
    await one.wait_released()
    assert await two.take("ann")


async def test_an_open_session_keeps_its_lease_for_hours(processes, clock: Clock) -> None:
    one, two = processes
    assert await one.take("ann")
    assert await one.take("eve")
    for _ in range(50):
        clock.now_ms += RENEWAL_MS
        await one.renew()
        assert not await two.take("ann")
    one.release("ann")
    await one.wait_released()
    assert await two.take("ann"), "no attempt of an earlier renewal is left"
    assert not await two.take("eve")


async def test_the_lease_of_a_killed_process_ends_within_a_minute(processes, clock: Clock) -> None:
    one, two = processes
    assert await one.take("ann")
    clock.now_ms += RENEWAL_MS
    await one.renew()
    clock.now_ms += LEASE_MS - 1
    assert not await two.take("ann")
    clock.now_ms += 1
    assert await two.take("ann")


async def test_two_sessions_that_begin_at_once(processes) -> None:
    one, two = processes
    for name in map(str, range(20)):
        taken = await asyncio.gather(*(each.take(name) for each in (one, two, one, two)))
        assert sum(taken) == 1


async def test_a_release_during_a_renewal_is_a_release(clock: Clock) -> None:
    class Slow(MemoryAttempts):
        async def begin(self, attempt, limits):
            counted = await super().begin(attempt, limits)
            if not limits:
                leases.release("ann")
            return counted

    attempts = Slow()
    leases = MaildropLeases(attempts, clock_ms=clock)
    assert await leases.take("ann")
    clock.now_ms += RENEWAL_MS
    await leases.renew()
    await leases.wait_released()
    assert await MaildropLeases(attempts, clock_ms=clock).take("ann")


async def test_without_the_store_no_session_begins_and_open_sessions_stay(clock: Clock) -> None:
    failing = False

    def fault(_step: str) -> None:
        if failing:
            raise StoreUnavailable("odd")

    leases = MaildropLeases(MemoryAttempts(fault=fault), clock_ms=clock)
    assert await leases.take("ann")
    failing = True
    with pytest.raises(StoreUnavailable):
        await leases.take("bob")
    with pytest.raises(StoreUnavailable):
        await leases.renew()
    leases.release("ann")
    await leases.wait_released()
    failing = False
    assert not await leases.take("ann")
    clock.now_ms += LEASE_MS
    assert await leases.take("ann")
    assert await leases.take("bob"), "a failed sign-in leaves nothing"


async def test_a_sign_in_that_is_cancelled_leaves_no_lease(clock: Clock) -> None:
    class Slow(MemoryAttempts):
        async def begin(self, attempt, limits):
            counted = await super().begin(attempt, limits)
            await asyncio.sleep(0.01 if attempt.at_ms == clock.now_ms else 0)
            return counted

    leases = MaildropLeases(Slow(), clock_ms=clock)
    task = asyncio.create_task(leases.take("ann"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await leases.take("ann")
