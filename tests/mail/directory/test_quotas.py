"""Quotas: what fits, which usages are read, and the effect of an unreachable store."""

import asyncio

import pytest

from mail.directory.quotas import StoredQuotaCheck, effective_quota, fits
from mail.directory.usage_cache import UsageCache
from mail.errors import StoreUnavailable
from schemas.directory import Domain, Owner, Quota, User
from schemas.mailbox import Usage
from stores.memory import MemoryMailStore


@pytest.mark.parametrize(
    ("said", "default", "force"),
    [
        (Quota(), Quota(), Quota()),
        (Quota(), Quota(size_bytes=5, messages=0), Quota(size_bytes=5)),
        (Quota(size_bytes=0), Quota(size_bytes=5, messages=6), Quota(messages=6)),
        (Quota(size_bytes=7, messages=8), Quota(size_bytes=5), Quota(size_bytes=7, messages=8)),
    ],
)
def test_the_quota_in_force(said: Quota, default: Quota, force: Quota) -> None:
    assert effective_quota(said, default) == force


@pytest.mark.parametrize(
    ("used", "size_bytes", "fit"),
    [
        (Usage(99, 9), 0, True),
        (Usage(99, 9), 1, True),
        (Usage(99, 9), 2, False),
        (Usage(100, 9), 0, False),
        (Usage(99, 10), 0, False),
        (Usage(500, 0), 0, False),
    ],
)
def test_what_fits(used: Usage, size_bytes: int, *, fit: bool) -> None:
    assert fits(used, Quota(size_bytes=100, messages=10), size_bytes=size_bytes) is fit
    assert fits(used, Quota(), size_bytes=size_bytes)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def test_usage_is_read_once_for_all_who_ask_and_kept_for_a_while() -> None:
    asked, clock, gate = [], Clock(), asyncio.Event()

    async def ask(id_: str) -> Usage:
        asked.append(id_)
        await gate.wait()
        return Usage(len(asked), 0)

    usages = UsageCache(ask, keep_s=3.0, clock=clock)
    waiting = [asyncio.create_task(usages.of(id_)) for id_ in "aab"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.now_s = 1.0  # it took a second, so it is kept for longer
    gate.set()
    assert await asyncio.gather(*waiting) == [Usage(2, 0)] * 3
    clock.now_s = 50.0
    assert await usages.of("a") == Usage(2, 0)
    assert asked == ["a", "b"]
    clock.now_s = 51.0
    assert await usages.of("a") == Usage(3, 0)
    clock.now_s = 53.9
    assert await usages.of("a") == Usage(3, 0)
    clock.now_s = 54.0
    assert await usages.of("a") == Usage(4, 0)


def owner(quota: Quota) -> Owner:
    user = User(
        user_id="u", domain_id="d", address="u@x.test", disabled=False, created_at_ms=1, quota=quota
    )
    return Owner(user=user, domain=Domain(domain_id="d", name="x.test", created_at_ms=1))


async def test_a_store_that_is_away_stops_no_mail_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = []

    def fault(step: str) -> None:
        asked.append(step)
        raise StoreUnavailable("mail", "gone")

    room = StoredQuotaCheck(MemoryMailStore(fault=fault), Quota(messages=1))
    for _ in range(5):
        assert await room.has_room([owner(Quota())], size_bytes=10**9)
    assert asked == ["read"]
    assert [record.message for record in caplog.records] == ["quotas are not checked: mail: gone"]


async def test_without_a_quota_nothing_is_read() -> None:
    def fault(_step: str) -> None:
        pytest.fail("it was read")

    room = StoredQuotaCheck(MemoryMailStore(fault=fault), Quota(size_bytes=0))
    assert await room.has_room([owner(Quota(messages=0))], size_bytes=10**9)
