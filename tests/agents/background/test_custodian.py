"""The ledger job over memory adapters and a clock of its own."""

import asyncio

import pytest

from agents.background.custodian import Custodian, CustodyConfig
from agents.ports import CustodyPorts
from mail.clock import DAY_MS
from mail.clock_guard import ClockGuard
from mail.errors import BrokerUnavailable
from schemas.content import Stored
from schemas.holders import Holder, dead_letter_holder
from schemas.ledger import (
    DISCARDED,
    EVERYONE,
    OPEN,
    PARKED,
    QUARANTINED,
    REDRIVEN,
    STORED,
    DeadLetterState,
)
from stores.memory import (
    MemoryContentStore,
    MemoryHolders,
    MemoryLedger,
    MemoryMailStore,
    MemoryQuarantine,
)
from tests.support.custody_world import Log, accepted, letter, quarantined, store_message

MINUTE_MS = 60_000


class Stage:
    """A custodian, its world, and a hand on its clock."""

    def __init__(self) -> None:
        self.store, self.contents = MemoryMailStore(), MemoryContentStore()
        self.ledger, self.quarantine = MemoryLedger(), MemoryQuarantine()
        self.holders, self.log = MemoryHolders(), Log()
        self.now_ms = 1_000
        self.restart("e1")

    def restart(self, epoch: str) -> None:
        """A process of custody that has just begun, with that log of dead letters."""
        config = CustodyConfig(batch=2)
        self.apart_ms = 0  # from the boot clock to the wall clock
        guard = ClockGuard(lambda: self.now_ms, lambda: self.now_ms - self.apart_ms)
        self.custodian = Custodian(
            self.ports(), epoch, config, now_ms=lambda: self.now_ms, guard=guard,
            clock_s=lambda: (self.now_ms - self.apart_ms) / 1000,
        )  # fmt: skip

    def set_clock(self, ahead_ms: int) -> None:
        self.now_ms += ahead_ms
        self.apart_ms += ahead_ms

    def ports(self, **other) -> CustodyPorts:
        ports = {
            "ledger": self.ledger,
            "store": self.store,
            "quarantine": self.quarantine,
            "holders": self.holders,
            "in_flight": self.log,
        }
        return CustodyPorts(**(ports | other))

    def search(self, log: Log) -> None:
        self.log = log
        self.custodian.ports = self.ports()

    async def after(self, ms: int) -> None:
        """A turn, that much later."""
        self.now_ms += ms
        await self.custodian.turn()

    async def state(self, mail_id: str, user: str = "ann") -> str:
        return (await self.ledger.get(mail_id)).states[user]

    async def stored(self, mail_id: str, user: str = "ann") -> None:
        await store_message(self.store, self.contents, mail_id, user)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_every_owner_has_an_end_before_a_mail_is_closed(stage: Stage) -> None:
    await stage.custodian.take([accepted("m1", "ann", "bob"), *map(accepted, "abcde")], [])
    await stage.stored("m1")
    for name in "abcde":
        await stage.stored(name)
    await stage.after(12_000)
    assert stage.custodian.totals.open_mails == 1
    assert (await stage.state("m1"), await stage.state("m1", "bob")) == (STORED, OPEN)
    await stage.stored("m1", "bob")
    await stage.after(12_000)
    assert stage.custodian.totals.open_mails == 0
    assert stage.custodian.accepted == 6
    assert stage.custodian.closed == {STORED: 7}
    assert [e.mail_id for e in await stage.ledger.list_by_header("m1@m")] == ["m1"]


async def test_quarantine_is_an_end_until_it_is_acted_on(stage: Stage) -> None:
    await stage.custodian.take([accepted("m1"), accepted("m2")], [])
    for name in ("m1", "m2"):
        await stage.quarantine.put(quarantined(name, content=Stored(name, 1, "")))
    await stage.after(12_000)
    assert await stage.state("m1") == QUARANTINED
    await stage.quarantine.delete("m1", by="olga", at_ms=9)
    await stage.quarantine.release("m2", by="olga", at_ms=9)
    await stage.ledger.reopen(["m1", "m2"], at_ms=stage.now_ms)
    await stage.after(12_000)
    assert (await stage.state("m1"), await stage.state("m2")) == (DISCARDED, OPEN)
    await stage.stored("m2")
    await stage.after(MINUTE_MS)
    assert await stage.state("m2") == STORED


async def test_a_letter_holds_its_content_until_it_is_delivered(stage: Stage) -> None:
    mails = [accepted("m1", "ann", "bob"), accepted("m2")]
    letters = [letter("m1", user_id="bob", ref="c1"), letter("m2", "0-2", ref="c2")]
    await stage.custodian.take(mails, letters)
    await stage.stored("m1")
    await stage.after(12_000)
    assert (await stage.state("m1"), await stage.state("m1", "bob")) == (STORED, PARKED)
    assert [one.ref for one in await stage.holders.list("m1")] == ["c1"]

    back = DeadLetterState(letter_id="0-1", state=REDRIVEN, at_ms=9)
    away = DeadLetterState(letter_id="0-2", state=DISCARDED, at_ms=9)
    await stage.custodian.take([], [back, away])
    await stage.after(12_000)
    assert await stage.state("m1", "bob") == OPEN
    assert await stage.state("m2") == DISCARDED
    assert await stage.holders.list("m1")
    assert await stage.holders.list("m2") == []
    await stage.stored("m1", "bob")
    await stage.after(MINUTE_MS)
    assert await stage.state("m1", "bob") == STORED
    assert await stage.holders.list("m1") == []


async def test_the_end_of_a_dead_letter_releases_no_holder_of_another_kind(stage: Stage) -> None:
    """A content that another owner still needs would be deleted."""
    others = ("deposit", "quarantine", "relay:x.test", "submission")
    await stage.holders.hold(Holder(mail_id="m1", holder=one, ref="c1") for one in others)
    await stage.custodian.take([accepted("m1")], [letter("m1", ref="c1")])
    await stage.after(12_000)
    await stage.custodian.take([], [DeadLetterState(letter_id="0-1", state=DISCARDED, at_ms=9)])
    await stage.after(12_000)
    assert await stage.state("m1") == DISCARDED
    assert sorted(one.holder for one in await stage.holders.list("m1")) == sorted(others)


async def test_letters_of_another_log_do_not_count(stage: Stage) -> None:
    await stage.custodian.take([accepted("m1")], [letter("m1")])
    stage.custodian.epoch = "e2"
    await stage.after(12_000)
    assert await stage.state("m1") == OPEN


async def test_the_log_is_searched_for_what_is_nowhere_after_a_minute(stage: Stage) -> None:
    await stage.custodian.take([accepted(f"m{n}") for n in range(5)], [])
    stage.log.there = {f"m{n}": frozenset({EVERYONE}) for n in range(5)}
    for _ in range(5):
        await stage.after(12_000)
    assert stage.log.searches == 0
    for _ in range(20):
        await stage.after(MINUTE_MS)
    assert 1 <= stage.log.searches <= 10, "looks grow rarer"
    totals = stage.custodian.totals
    assert (totals.open_mails, totals.missing_mails) == (5, 0)
    assert totals.oldest_open_at_ms == 1_000


async def test_what_is_nowhere_twice_is_missing_and_is_looked_for_ever_after(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.custodian.take([accepted("m1"), accepted("m2")], [])
    stage.log.there = {"m2": frozenset({"ann"})}
    await stage.after(2 * MINUTE_MS)
    assert stage.log.searches == 1
    assert stage.custodian.totals.missing_mails == 0
    assert stage.custodian.warnings() == []
    for _ in range(3):
        await stage.after(2 * MINUTE_MS)
    assert stage.custodian.totals.missing_mails == 1
    assert stage.custodian.warnings() == ["1 mails are missing: postriver audit"]
    assert caplog.text.count("m1 is missing") == 1
    assert "m2" not in caplog.text
    await stage.stored("m1")
    await stage.after(20 * MINUTE_MS)
    assert stage.custodian.totals.missing_mails == 0
    assert "m1 is found again" in caplog.text


async def test_one_search_of_many_mails_reports_no_mail_as_missing(stage: Stage) -> None:
    """The mails are concluded in batches of two, each mail once."""
    await stage.custodian.take([accepted(f"m{n}") for n in range(5)], [])
    await stage.after(2 * MINUTE_MS)
    assert (stage.log.searches, stage.custodian.totals.missing_mails) == (1, 0)
    await stage.after(2 * MINUTE_MS)
    assert (stage.log.searches, stage.custodian.totals.missing_mails) == (2, 5)


async def test_a_search_that_fails_proves_nothing_and_is_not_begun_again_at_once(
    stage: Stage,
) -> None:
    """Ten minutes of search are a twentieth of the time; the rest of a turn goes on."""

    class Long(Log):
        async def waiting(self, mail_ids):
            stage.now_ms += 600_000
            asked.append(sorted(mail_ids))
            if len(asked) < 3:
                raise BrokerUnavailable("not searched to its end within 600 s")
            return await super().waiting(mail_ids)

    asked: list[list[str]] = []
    stage.search(Long())
    await stage.custodian.take([accepted("m1")], [])
    failed = 0
    for turn in range(400):
        try:
            await stage.after(11 * MINUTE_MS)
        except BrokerUnavailable:
            failed += 1
        if turn == 20:
            await stage.custodian.take([accepted("m2", at_ms=stage.now_ms)], [])
        assert stage.custodian.totals.open_mails
        if len(asked) == 3:
            break
    assert failed == 2
    assert turn >= 30, "11,400 s of pause behind each search"
    assert asked == [["m1"]] * 3, "a search that was cut short goes on"
    assert (await stage.ledger.totals()).missing_mails == 0


async def held(stage: Stage) -> set[str]:
    """The ids of the dead letters that hold the mail m1."""
    rows = await stage.holders.list("m1")
    prefix = dead_letter_holder(f"{stage.custodian.epoch}/")
    assert all(row.holder.startswith(prefix) for row in rows)
    return {row.holder.removeprefix(prefix) for row in rows}


async def test_a_mail_that_is_sent_back_while_it_is_looked_at_stays_open(stage: Stage) -> None:
    class Slow(MemoryQuarantine):
        async def get_many(self, mail_ids):
            back = DeadLetterState(letter_id="0-1", state=REDRIVEN, at_ms=1)
            await stage.custodian.take([], [back])
            return await super().get_many(mail_ids)

    stage.now_ms = 600_000
    mails = [accepted("m1", "ann", "bob")]
    await stage.custodian.take(mails, [letter("m1", user_id="bob", ref="m1")])
    await stage.stored("m1")
    stage.custodian.ports = stage.ports(quarantine=Slow())
    await stage.after(0)
    stage.custodian.ports = stage.ports()
    assert await stage.state("m1", "bob") == OPEN
    for _ in range(4):
        await stage.after(2 * MINUTE_MS)
    assert stage.custodian.totals.missing_mails == 1, "nothing of it is in the log"
    assert await held(stage) == {"0-1"}


async def test_a_letter_that_comes_while_a_mail_is_closed_keeps_its_content(stage: Stage) -> None:
    """Stored for ann, sent back for bob and stored, parked once more by another stage."""

    class Slow(MemoryMailStore):
        async def by_mails(self, mail_ids):
            found = await stage.store.by_mails(mail_ids)
            await stage.custodian.take([], [letter("m1", "0-2", user_id="bob", ref="m1")])
            return found

    await stage.custodian.take([accepted("m1", "ann")], [letter("m1", "0-1", ref="m1")])
    await stage.custodian.take([], [DeadLetterState(letter_id="0-1", state=REDRIVEN, at_ms=1)])
    await stage.stored("m1")
    stage.custodian.ports = stage.ports(store=Slow())
    await stage.after(12_000)
    assert await held(stage) == {"0-1", "0-2"}
    stage.custodian.ports = stage.ports()
    await stage.custodian.take([], [DeadLetterState(letter_id="0-2", state=REDRIVEN, at_ms=2)])
    await stage.after(12_000)
    assert await held(stage) == set(), "each of its letters was redriven"
    await stage.custodian.take([], [letter("m1", "0-1", ref="m1"), letter("m1", "0-3", ref="m1")])
    assert await held(stage) == {"0-3"}, "a repeated record of the log holds nothing again"


async def test_letters_of_a_log_that_is_gone_are_no_ends(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.custodian.take([accepted("m1"), accepted("m2")], [letter("m1")])
    await stage.stored("m2")
    await stage.after(12_000)
    assert await stage.state("m1") == PARKED
    stage.restart("e2")
    for _ in range(4):
        await stage.after(2 * MINUTE_MS)
    assert stage.custodian.totals.missing_mails == 1
    assert "1 dead letters were in a log that no longer exists" in caplog.text
    await stage.custodian.take([], [letter("m1", "0-7")])
    await stage.after(20 * MINUTE_MS)
    assert await stage.state("m1") == PARKED


@pytest.mark.parametrize("ahead_ms", [MINUTE_MS, DAY_MS])
async def test_a_turn_ends_whatever_the_clocks_say(stage: Stage, ahead_ms: int) -> None:
    """Accepted by a clock that was ahead; then sent back, so that it is due at once."""
    looks = 0

    class Counting(MemoryQuarantine):
        async def get_many(self, mail_ids):
            nonlocal looks
            looks += 1
            return await super().get_many(mail_ids)

    stage.now_ms = 600_000
    stage.custodian.ports = stage.ports(quarantine=Counting())
    await stage.custodian.take([accepted("m1", at_ms=stage.now_ms + ahead_ms)], [letter("m1")])
    await stage.custodian.take([], [DeadLetterState(letter_id="0-1", state=REDRIVEN, at_ms=1)])
    await asyncio.wait_for(stage.after(0), 20)
    assert looks == 1
    for _ in range(3):
        await stage.after(12_000)
    assert 2 <= looks <= 4, "it is looked at again, by and by"


async def test_a_clock_that_was_set_back_puts_no_look_off(stage: Stage) -> None:
    stage.now_ms = 10 * DAY_MS
    await stage.custodian.take([accepted("m1", at_ms=stage.now_ms)], [])
    await stage.after(12_000)
    stage.set_clock(-5 * DAY_MS)
    await stage.stored("m1")
    await stage.after(12_000)
    assert stage.custodian.totals.open_mails == 0


async def test_the_old_is_forgotten(stage: Stage) -> None:
    await stage.custodian.take([accepted("m1"), accepted("m2")], [])
    stage.log.there = {"m2": frozenset({EVERYONE})}
    await stage.stored("m1")
    await stage.after(12_000)
    stage.now_ms += 36 * DAY_MS
    await stage.custodian.take([accepted("m3", at_ms=stage.now_ms)], [])
    await stage.after(12_000)
    assert await stage.ledger.get("m1") is None
    assert await stage.ledger.get("m2") is not None
    assert stage.custodian.warnings() == []


@pytest.mark.parametrize("is_set", [True, False])
async def test_a_clock_that_jumps_forgets_nothing(stage: Stage, *, is_set: bool) -> None:
    """A clock that is set during the run, or was wrong at the start: then silence shows it."""
    await stage.custodian.take([accepted("m1")], [])
    await stage.stored("m1")
    await stage.after(12_000)
    stage.set_clock(40 * DAY_MS)
    if is_set:
        await stage.custodian.take([accepted("m2", at_ms=stage.now_ms)], [])
    else:
        stage.restart("e1")
    for _ in range(3):
        await stage.after(MINUTE_MS)
        assert await stage.ledger.get("m1") is not None
    (warning,) = [one for one in stage.custodian.warnings() if "not deleted by age" in one]
    assert ("set ahead by 960.0 h" if is_set else "40 days ahead") in warning
