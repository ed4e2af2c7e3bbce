"""Settled submissions: contents are released when nothing needs them, and old rows deleted."""

from collections.abc import Collection

import msgspec
import pytest

from agents.background.housekeeping import Housekeeping
from agents.background.settled_submissions import SettledSubmissions
from agents.ports import SettledSubmissionsPorts
from mail.clock import DAY_MS
from mail.clock_guard import ClockGuard
from schemas.holders import SUBMISSION_HOLDER, Holder
from schemas.ids import MailId
from schemas.submissions import QUEUED, SENT
from stores.memory import MemoryHolders, MemoryLedger, MemoryQuarantine, MemorySubmissions
from tests.contracts.quarantine import quarantined
from tests.contracts.submissions import after, submission


class World:
    """Submissions that became final at 0, with their holders; `log` has the mails on their way."""

    def __init__(self) -> None:
        self.now_ms, self.boot_ms = 2 * DAY_MS, 0
        self.log: set[str] = set()
        self.submissions, self.holders = MemorySubmissions(), MemoryHolders()
        self.quarantine = MemoryQuarantine()
        guard = ClockGuard(lambda: self.now_ms, lambda: self.boot_ms)
        self.job = SettledSubmissions(
            ports=SettledSubmissionsPorts(
                submissions=self.submissions,
                quarantine=self.quarantine,
                holders=self.holders,
                in_flight=self,
            ),
            housekeeping=Housekeeping(ledger=MemoryLedger(), what="submissions", guard=guard),
        )

    async def waiting(self, mail_ids: Collection[MailId]) -> dict[str, frozenset[str]]:
        return {mail_id: frozenset({""}) for mail_id in mail_ids if mail_id in self.log}

    async def add(self, name: str, status: str = SENT) -> None:
        row = submission(name, status=QUEUED)
        await self.submissions.put(row)
        if status != QUEUED:
            await self.submissions.put(after(row, status=status))
        await self.holders.hold([Holder(mail_id=name, holder=SUBMISSION_HOLDER, ref=name)])

    async def held(self) -> set[str]:
        return await self.holders.any_held([f"s{number}" for number in range(9)])


@pytest.fixture
def world() -> World:
    return World()


async def test_contents_stay_while_the_mail_is_open_in_quarantine_or_in_the_log(
    world: World,
) -> None:
    for number, status in enumerate((SENT, QUEUED, SENT, SENT)):
        await world.add(f"s{number}", status)
    await world.quarantine.put(quarantined("s2"))
    world.log.add("s3")
    await world.job.turn()
    assert await world.held() == {"s1", "s2", "s3"}
    await world.quarantine.delete("s2", by="olga", at_ms=1)
    world.log.clear()
    await world.job.turn()
    assert await world.held() == {"s1"}


async def test_rows_that_stay_do_not_stop_the_rows_behind_them(
    world: World,
) -> None:
    world.job.page = 2
    for number in range(4):
        await world.add(f"s{number}")
        if number < 2:
            await world.quarantine.put(quarantined(f"s{number}"))
    for _ in range(2):
        await world.job.turn()
    assert await world.held() == {"s0", "s1"}


async def test_a_row_goes_after_its_contents_and_35_days(world: World) -> None:
    await world.add("s0")
    await world.job.turn()
    assert await world.submissions.get("s0") is not None
    world.now_ms += 35 * DAY_MS
    world.boot_ms += 35 * DAY_MS
    await world.job.turn()
    assert await world.submissions.get("s0") is None
    assert world.job.deleted == 1


async def test_nothing_is_released_while_the_clock_is_in_doubt(world: World) -> None:
    await world.add("s0")
    world.now_ms += 400 * DAY_MS
    await world.job.turn()
    assert await world.held() == {"s0"}
    assert msgspec.to_builtins(await world.submissions.get("s0"))["status"] == SENT
