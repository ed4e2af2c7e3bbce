"""One verdict per mail: scan and route repeated in any order, with changing scanners."""

import pytest

from agents.ports import IntakePorts, ScanPorts
from agents.route import route
from agents.scan import scan
from mail.ports import VirusReport
from operations.ports import ReleasePorts
from operations.quarantine import discard, release
from scanners.memory import MemorySpamScanner, MemoryVirusScanner
from stores.memory import (
    MemoryContentStore,
    MemoryHolders,
    MemoryLedger,
    MemoryOutlineStore,
    MemoryPublisher,
    MemoryQuarantine,
)
from tests.support.agent_builders import OneTry, validated

FOUND = VirusReport(virus="Eicar", signatures="yesterday's")
NOTHING = VirusReport(virus="", signatures="today's")


class Pipeline:
    """The ports of scan, route and an operator over the same stores."""

    def __init__(self) -> None:
        self.virus, self.river = MemoryVirusScanner(), MemoryPublisher()
        self.quarantine, self.holders = MemoryQuarantine(), MemoryHolders()
        self.contents = MemoryContentStore()
        self.operator = ReleasePorts(
            quarantine=self.quarantine, contents=self.contents, holders=self.holders,
            ledger=MemoryLedger(),
        )  # fmt: skip

    async def scan(self, *reports: VirusReport):
        """One try for each report; all that they emit."""
        ports = ScanPorts(
            contents=self.contents, virus=self.virus, spam=MemorySpamScanner(),
            quarantine=self.quarantine, holders=self.holders,
        )  # fmt: skip
        self.virus.script.extend(reports)
        return [event for _ in reports for event in await scan(validated(), OneTry(), ports)]

    async def route(self, *events):
        ports = IntakePorts(
            contents=self.contents,
            outlines=MemoryOutlineStore(),
            holders=self.holders,
            quarantine=self.quarantine,
        )
        return [one for event in events for one in await route(event, OneTry(), ports)]


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


async def test_a_repeated_scan_cannot_clear_a_mail(pipeline: Pipeline) -> None:
    assert await pipeline.scan(FOUND, NOTHING) == []
    row = await pipeline.quarantine.get("m1")
    assert (row.reason, row.verdict.signatures) == ("infected", "yesterday's")
    assert len(pipeline.virus.scanned) == 1


async def test_a_clean_verdict_on_its_way_ends_at_a_stricter_one(pipeline: Pipeline) -> None:
    clean = await pipeline.scan(NOTHING)
    assert len(clean) == 1
    await pipeline.scan(FOUND)
    assert await pipeline.route(*clean) == []
    (holder,) = await pipeline.holders.list("m1")
    assert holder.holder == "quarantine", "nothing but the quarantine holds the content"


async def test_discarded_mail_stays_discarded(pipeline: Pipeline) -> None:
    clean = await pipeline.scan(NOTHING)
    await pipeline.scan(FOUND)
    await discard("m1", pipeline.operator, by="olga", at_ms=5)
    assert await pipeline.scan(NOTHING) == []
    assert await pipeline.route(*clean) == []


async def test_released_mail_is_delivered_and_not_scanned_into_quarantine_again(
    pipeline: Pipeline,
) -> None:
    await pipeline.scan(FOUND)
    await release(
        "m1", pipeline.operator, pipeline.river, by="olga", at_ms=5, force=True, worker="desk"
    )
    assert await pipeline.scan(FOUND) == []
    (command,) = await pipeline.route(*pipeline.river.events)
    assert command.folder_id == "inbox"
    assert (await pipeline.quarantine.get("m1")).released_by == "olga"
