"""Operators' commands on the relay queue, and the check of DNS records."""

import pytest

from mail.errors import NotFound
from mail.sending.dkim.keys import generate
from operations import domain_records, relay_queue
from schemas.relay import RelayFilter
from stores.memory import MemoryRelayQueue
from tests.contracts.relay_queue import relay

KEYS = [generate("postriver.test", "p1", "ed25519-sha256")]


@pytest.fixture
async def queue() -> MemoryRelayQueue:
    """1,200 recipients of a domain, 20 of each mail, and one of another domain."""
    queue = MemoryRelayQueue()
    for number in range(60):
        names = [f"u{each}" for each in range(20)]
        await queue.put(relay(f"m{number:02}", *names), partition=1, at_ms=1)
    await queue.put(relay("m00", destination="example.org"), partition=2, at_ms=1)
    return queue


async def test_a_filter_changes_every_row_and_no_other(queue: MemoryRelayQueue) -> None:
    conditions = [RelayFilter(destination="example.net")]
    assert await relay_queue.change(queue, conditions, "hold", at_ms=2) == 1_200
    assert await relay_queue.change(queue, conditions, "hold", at_ms=2) == 0
    assert await queue.counts() == {"held": 1_200, "waiting": 1}
    assert len(await relay_queue.found(queue, RelayFilter(state="held"), limit=1_100)) == 1_100
    mails = [RelayFilter(mail_id="m00"), RelayFilter(mail_id="m01")]
    assert await relay_queue.change(queue, mails, "bounce", at_ms=3) == 41
    assert len(await relay_queue.queued_addresses(queue, "m00")) == 21  # not reported yet
    reports = await queue.unreported(range(12), limit=500)
    await queue.set_reported([report.report_id for report in reports])
    assert await relay_queue.queued_addresses(queue, "m00") == set()
    assert {each.row.state for each in await relay_queue.of_mail(queue, "m00")} == {"done"}
    with pytest.raises(NotFound):
        await relay_queue.of_mail(queue, "m99")


class Zone:
    def __init__(self, records: dict[tuple[str, str], list[str]]) -> None:
        self.records = records

    async def texts(self, name: str, kind: str) -> list[str]:
        return self.records.get((name, kind), [])


async def faults(zone: Zone) -> list[str | None]:
    wanted = domain_records.records("postriver.test", "mx.postriver.test", KEYS)
    return [await domain_records.fault_of(record, zone) for record in wanted]


async def test_published_records_are_compared() -> None:
    assert None not in await faults(Zone({}))
    wanted = domain_records.records("postriver.test", "mx.postriver.test", KEYS)
    zone = Zone({(record.name, record.kind): [record.value] for record in wanted})
    assert await faults(zone) == [None] * 4
    own_choice = "v=spf1 include:_spf.example.net ~all"
    zone.records["postriver.test", "TXT"] = ["google-site-verification=x", own_choice]
    assert await faults(zone) == [None] * 4
    zone.records["postriver.test", "TXT"].append("v=spf1 -all")
    other = generate("postriver.test", "p1", "ed25519-sha256").record_text
    zone.records[KEYS[0].record_name, "TXT"] = [other]
    zone.records["postriver.test", "MX"] = ["5 elsewhere.example."]
    mx, spf, key, dmarc = await faults(zone)
    assert (mx, dmarc) == ("no MX record names mx.postriver.test", None)
    assert (spf, key) == (
        "there are 2 records that begin with v=spf1",
        "the record has another key",
    )
