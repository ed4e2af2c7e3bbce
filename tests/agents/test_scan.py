"""scan: verdicts, quarantine, scanners that are down, and mails that break a scanner."""

import asyncio

import pytest

from agents.ports import ScanPorts
from agents.scan import scan
from mail.errors import ScannerSick, ScannerUnavailable, Unscannable
from mail.ports import SpamReport, VirusReport
from mail.spam_policy import SpamPolicy
from scanners.memory import EICAR, MemorySpamScanner, MemoryVirusScanner
from stores.memory import MemoryContentStore, MemoryHolders, MemoryQuarantine
from tests.support.agent_builders import PLAIN, OneTry, validated

KILLER = PLAIN + b"KILLER"


class FragileScanner(MemoryVirusScanner):
    """An engine that ends at KILLER, and stays down until it is started again."""

    async def scan(self, content: bytes) -> VirusReport:
        await asyncio.sleep(0)
        if content == KILLER:
            self.down = True
        return await super().scan(content)


@pytest.fixture
def ports() -> ScanPorts:
    return ScanPorts(
        contents=MemoryContentStore(),
        virus=FragileScanner(),
        spam=MemorySpamScanner(),
        quarantine=MemoryQuarantine(),
        holders=MemoryHolders(),
    )


def spam_report(score: float) -> SpamReport:
    return SpamReport(score=score, tests=("T",), rules="r2", scanned_bytes=9)


async def test_a_clean_mail_goes_on_with_what_both_scanners_said(ports: ScanPorts) -> None:
    ports.spam.script.append(spam_report(4.9))
    (event,) = await scan(validated(), OneTry(), ports)
    assert event.verdict.outcome == "clean"
    assert (event.verdict.signatures, event.verdict.rules) == ("memory 1", "r2")
    assert (event.verdict.spam_score, event.verdict.spam_scanned_bytes) == (4.9, 9)
    assert event.hops[-1].verdict == "clean"


@pytest.mark.parametrize(
    ("score", "outcome", "goes_on"),
    [(5.0, "spam", True), (14.9, "spam", True), (15.0, "spam", False), (1000.0, "spam", False)],
)
async def test_thresholds(ports: ScanPorts, score: float, outcome: str, goes_on) -> None:
    ports.spam.script.append(spam_report(score))
    events = await scan(validated(), OneTry(), ports)
    quarantined = await ports.quarantine.get("m1")
    assert bool(events) == goes_on
    assert (quarantined is None) == goes_on
    verdict = events[0].verdict if goes_on else quarantined.verdict
    assert (verdict.outcome, verdict.spam_score) == (outcome, score)


async def test_infected_mail_ends_in_quarantine_unseen_by_spamd(ports: ScanPorts) -> None:
    content = PLAIN + EICAR
    assert await scan(validated(content), OneTry(), ports) == ()
    row = await ports.quarantine.get("m1")
    assert (row.reason, row.verdict.virus) == ("infected", "Eicar-Test-Signature")
    assert await ports.contents.get(row.content.ref) == content
    assert ports.spam.checked == []


async def test_the_first_quarantine_row_stays(ports: ScanPorts) -> None:
    for attempt in (1, 2):
        await scan(validated(PLAIN + EICAR), OneTry(attempt=attempt), ports)
    assert (await ports.quarantine.get("m1")).quarantined_at_ms == 1_000


async def test_what_a_healthy_scanner_cannot_read_is_unscannable(ports: ScanPorts) -> None:
    ports.virus.script.append(Unscannable("too deep"))
    assert await scan(validated(), OneTry(), ports) == ()
    row = await ports.quarantine.get("m1")
    assert (row.reason, row.verdict.detail) == ("unscannable", "too deep")
    assert row.verdict.signatures == "memory 1"


@pytest.mark.parametrize("engine", ["virus", "spam"])
async def test_an_engine_that_is_away_holds_for_any_number_of_tries(ports, engine) -> None:
    getattr(ports, engine).down = True
    for attempt in range(1, 8):
        with pytest.raises(ScannerUnavailable):
            await scan(validated(), OneTry(attempt=attempt), ports)
    getattr(ports, engine).down = False
    (event,) = await scan(validated(), OneTry(attempt=8), ports)
    assert event.verdict.outcome == "clean"
    assert await ports.quarantine.list(limit=10) == []


async def test_a_scanner_without_room_blames_no_mail(ports: ScanPorts) -> None:
    """Its probe needs as little room as a small mail, and may get it where the mail does not."""
    clean = VirusReport(virus="", signatures="memory 1")
    for attempt in range(2, 8):
        ports.virus.script += [clean, ScannerSick("clamd", "no room")]
        with pytest.raises(ScannerSick):
            await scan(validated(), OneTry(attempt=attempt), ports)
    (event,) = await scan(validated(), OneTry(attempt=8), ports)
    assert event.verdict.outcome == "clean"


async def test_a_mail_that_breaks_the_engine_twice_alone_is_unscannable(ports: ScanPorts) -> None:
    stored = await ports.contents.put("m1", KILLER)
    for attempt in (1, 2):
        ports.virus.down = False
        with pytest.raises(ScannerUnavailable):
            await scan(validated(stored), OneTry(attempt=attempt), ports)
    with pytest.raises(ScannerUnavailable):  # down: says nothing about the mail
        await scan(validated(stored), OneTry(attempt=3), ports)
    ports.virus.down = False
    with pytest.raises(ScannerUnavailable):  # has just ended again, and cannot report its version
        await scan(validated(stored), OneTry(attempt=4), ports)
    ports.virus.down = False
    assert await scan(validated(stored), OneTry(attempt=5), ports) == ()
    row = await ports.quarantine.get("m1")
    assert (row.reason, row.verdict.signatures) == ("unscannable", "memory 1")
    assert not ports.virus.down  # it was not scanned once more for that


async def test_innocent_mail_beside_a_killer_is_never_blamed(ports: ScanPorts) -> None:
    """Twenty mails at once, one of which ends the engine; a supervisor starts it again."""

    async def deliver(number: int) -> str:
        content = KILLER if number == 7 else PLAIN
        for attempt in range(1, 100):
            try:
                mail = validated(content, mail_id=f"m{number}")
                events = await scan(mail, OneTry(attempt=attempt), ports)
                return events[0].verdict.outcome if events else "quarantined"
            except ScannerUnavailable:
                await asyncio.sleep(0.002)
        return "held"

    async def supervise() -> None:
        while True:
            await asyncio.sleep(0.003)
            ports.virus.down = False

    supervisor = asyncio.create_task(supervise())
    ends = await asyncio.gather(*(deliver(number) for number in range(20)))
    supervisor.cancel()
    assert ends == ["quarantined" if number == 7 else "clean" for number in range(20)]


async def test_a_try_cancelled_while_it_waits_leaves_the_engine_usable(ports: ScanPorts) -> None:
    gate = asyncio.Event()

    async def slow(_content: bytes) -> str:
        await gate.wait()
        return "read"

    ask = ports.virus_engine.ask
    first = asyncio.create_task(ask(slow, b"", key="a", alone=False))
    second = asyncio.create_task(ask(slow, b"", key="b", alone=True))
    await asyncio.sleep(0.01)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    gate.set()
    assert await first == "read"
    assert await ask(slow, b"", key="c", alone=True) == "read"
    assert await ask(slow, b"", key="d", alone=False) == "read"


def test_thresholds_the_wrong_way_round_stop_the_start() -> None:
    with pytest.raises(ValueError, match="junk score"):
        SpamPolicy(junk_score=9.0, quarantine_score=5.0)
