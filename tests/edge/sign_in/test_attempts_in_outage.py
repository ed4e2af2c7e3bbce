"""Attempts counted by a process, and which store counts while the shared one is away."""

import pytest

from edge.outage_switch import ASK_AGAIN_S
from edge.sign_in.attempts_in_outage import AttemptsInOutage, LocalAttempts
from mail.errors import StoreUnavailable
from stores.memory import MemoryAttempts
from tests.contracts.attempts import NOW_MS, AttemptsContract, attempt, limit


class TestLocalAttempts(AttemptsContract):
    @pytest.fixture
    def attempts(self):
        return LocalAttempts()


class TestAttemptsInOutage(AttemptsContract):
    """With a shared store that answers, it is that store."""

    @pytest.fixture
    def attempts(self):
        return AttemptsInOutage(MemoryAttempts())


class Outage:
    """A shared store that can be away, and the number of calls that reached it."""

    def __init__(self) -> None:
        self.is_away, self.calls = False, 0
        self.now_s = 0.0
        self.shared = MemoryAttempts(fault=self.fault)
        self.edge = AttemptsInOutage(self.shared, lambda: self.now_s)

    def fault(self, step: str) -> None:
        self.calls += 1
        if self.is_away:
            raise StoreUnavailable("away")


async def test_while_the_store_is_away_a_process_admits_a_quarter_and_asks_once_a_second() -> None:
    outage = Outage()
    outage.is_away = True
    limits = [limit("peer", 8), limit("address", 1)]
    for number in range(2):
        assert await outage.edge.begin(attempt(number, "peer"), limits) == 0
    assert await outage.edge.begin(attempt(3, "peer"), limits) > 0
    assert await outage.edge.wait_ms(limits, at_ms=NOW_MS) > 0
    assert outage.calls == 1
    outage.now_s += ASK_AGAIN_S
    await outage.edge.wait_ms(limits, at_ms=NOW_MS)
    assert outage.calls == 2


async def test_after_the_outage_the_shared_store_counts_again(caplog) -> None:
    outage = Outage()
    for number in range(2):
        await outage.edge.begin(attempt(number), [])
    outage.is_away = True
    assert await outage.edge.wait_ms([limit("peer", 2)], at_ms=NOW_MS) == 0
    outage.is_away, outage.now_s = False, ASK_AGAIN_S
    assert await outage.edge.wait_ms([limit("peer", 2)], at_ms=NOW_MS) > 0
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "sign-ins are counted by each process alone", "sign-ins are counted together again",
    ]  # fmt: skip


async def test_an_attempt_that_was_counted_here_can_be_withdrawn_after_the_outage() -> None:
    outage = Outage()
    outage.is_away = True
    await outage.edge.begin(attempt(1), [])
    outage.is_away, outage.now_s = False, ASK_AGAIN_S
    await outage.edge.withdraw(attempt(1))
    outage.is_away = True
    assert await outage.edge.wait_ms([limit("peer", 4)], at_ms=NOW_MS) == 0


async def test_keys_are_bounded() -> None:
    attempts = LocalAttempts(keys_max=3)
    for number in range(5):
        await attempts.begin(attempt(number, f"key {number}"), [])
    waits = [await attempts.wait_ms([limit(f"key {n}", 1)], at_ms=NOW_MS) for n in range(5)]
    assert [wait > 0 for wait in waits] == [False, False, True, True, True]
