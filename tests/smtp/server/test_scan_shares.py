"""Scan shares: heavy senders are delayed, others are not, and only while scanning is behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.trusted_networks import Networks
from mail.ports import ScanProgress
from smtp.server.config import SmtpConfig
from smtp.server.scan_delay import FIRST_RATE, ScanDelay, units_of
from smtp.server.scan_shares import ScanShares, fair_level
from tests.smtp.server.conftest import HOSTNAME

WIRE = b"Subject: x\r\n\r\nhello\r\n.\r\n"
MIB = 1024 * 1024
BURST, OTHER = "192.0.2.1", "198.51.100.9"


class Scanning:
    """Scanners of a fixed rate behind an ingress, with a clock that the test moves."""

    def __init__(self, *, rate: float = 10.0, **settings) -> None:
        self.now_s, self.rate = 1000.0, rate
        self.accepted, self.scanned = 0, 0.0
        config = SmtpConfig(hostname=HOSTNAME, **settings)
        self.shares = ScanShares(config, clock=lambda: self.now_s)
        self.shares.follow(self)

    async def progress(self) -> ScanProgress:
        return ScanProgress(waiting=self.waiting, scanned=int(self.scanned))

    @property
    def waiting(self) -> int:
        return self.accepted - int(self.scanned)

    def send(self, client: str, sender: str = "a@burst.example", size_bytes: int = 2000) -> bool:
        admitted = self.shares.admits(client, sender, size_bytes)
        if admitted:
            self.accepted += 1
            self.shares.count(client, sender, size_bytes)
        return admitted

    async def second(self) -> None:
        self.now_s += 1.0
        self.scanned = min(self.accepted, self.scanned + self.rate)
        await self.shares.refresh()


@pytest.mark.parametrize("rate", [3.0, 10.0, 40.0])
async def test_a_burst_of_one_peer_never_makes_others_wait_for_long(rate: float) -> None:
    scanning = Scanning(rate=rate)
    others = []
    for second in range(120):
        for _ in range(60):
            scanning.send(BURST)
        if second % 10 == 9:
            others.append(scanning.send(OTHER, "b@other.example"))
        if second > 30:  # the rate is measured by then
            assert scanning.waiting <= 8 * rate
        await scanning.second()
    assert all(others)
    assert scanning.accepted > 100 * rate, "the scanners are busy all the time"


async def test_no_mail_waits_and_nobody_has_a_share() -> None:
    scanning = Scanning(rate=1000.0)
    await scanning.second()
    for mails in (20, 45, 90, 180, 180):
        assert all(scanning.send(BURST) for _ in range(mails))
        await scanning.second()


async def test_a_domain_has_a_share_whatever_peers_it_comes_from() -> None:
    scanning = Scanning(rate=0.0)
    taken = [scanning.send(f"192.0.2.{n}") for n in range(200)]
    assert 25 <= sum(taken) <= 30
    assert not scanning.send("192.0.2.250", "someone@BURST.example.")
    assert scanning.send("192.0.2.250", "b@other.example")
    assert scanning.send("192.0.2.251", ""), "the null reverse-path counts by its peer"
    assert scanning.send("192.0.2.252", "")


async def test_many_forged_domains_leave_the_share_of_a_true_one() -> None:
    scanning = Scanning(rate=5.0)
    for n in range(300):
        scanning.send(BURST, f"a@forged-{n}.example")
    await scanning.second()
    taken = [scanning.send(f"198.51.100.{n}", f"{n}@provider.example") for n in range(10)]
    assert sum(taken) >= 5
    assert not scanning.send(BURST, "a@forged-999.example")


async def test_neighbours_in_one_ipv6_site_share() -> None:
    scanning = Scanning(rate=0.0)
    taken = [scanning.send(f"2001:db8:0:{n:x}::1", f"a@d{n}.example") for n in range(300)]
    assert 25 <= sum(taken) <= 30
    assert scanning.send("2001:db8:1::1", "a@d1.example")


async def test_a_trusted_network_has_no_share() -> None:
    scanning = Scanning(rate=0.0, trusted=Networks.parse("192.0.2.0/24"))
    assert all(scanning.send(BURST) for _ in range(500))
    assert scanning.shares.work.waiting_s > 80


async def test_a_large_mail_counts_as_much_as_it_costs() -> None:
    scanning = Scanning(rate=0.0)
    taken = [scanning.send(BURST, size_bytes=10 * MIB) for _ in range(10)]
    assert taken == [True] + [False] * 9


async def test_an_outage_of_the_scanners_leaves_the_last_rate_and_its_end_is_seen() -> None:
    scanning = Scanning(rate=20.0)
    for _ in range(20):
        for _ in range(40):
            scanning.send(BURST)
        await scanning.second()
    assert 15 < scanning.shares.work.rate < 25
    scanning.rate = 0.0
    for _ in range(60):
        scanning.send(OTHER, "b@other.example")
        await scanning.second()
    assert 5 < scanning.shares.work.rate < 25
    scanning.rate = 100.0
    for _ in range(10):
        await scanning.second()
    assert scanning.shares.work.waiting_s == 0
    assert scanning.send(BURST)


def test_mail_of_an_earlier_life_counts_too() -> None:
    work = ScanDelay()
    assert not work.is_known_idle
    work.observe(ScanProgress(waiting=500, scanned=10_000), 1.0)
    assert work.waiting_s == 500 / FIRST_RATE
    work.accepted(units_of(MIB))
    assert work.waiting_s == 505 / FIRST_RATE
    for second in range(2, 8):
        work.observe(ScanProgress(waiting=501, scanned=10_000 + 20 * second), float(second))
    assert work.rate == pytest.approx(20, rel=0.3)
    work.observe(ScanProgress(waiting=0, scanned=10_600), 9.0)
    assert work.is_known_idle
    work.observe(ScanProgress(waiting=5, scanned=0), 10.0)  # the log was created again
    assert work.rate > 0


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=50), st.floats(0.1, 5000))
def test_the_level_uses_the_capacity_and_no_more(wanted, capacity) -> None:
    given_out = sum(min(want, fair_level(wanted, capacity)) for want in wanted)
    assert given_out == pytest.approx(min(capacity, sum(wanted)))


async def test_the_dialogue_tells_at_mail_and_at_data(rig):
    server = await rig.serve(scan_wait_s=1.0)
    server.shares.follow(Scanning())
    greedy, waiting = await rig.connect("127.0.0.2"), await rig.connect("127.0.0.2")
    await waiting.greet()
    await waiting.ask("MAIL FROM:<s@remote.example>")
    await waiting.ask("RCPT TO:<alice@postriver.test>")
    for _ in range(10):
        assert (await greedy.send_mail(WIRE)).startswith("250")
    while server.shares.work.waiting_s <= 1.0 or server.shares.admits("127.0.0.2", "", 0):
        server.shares.count("127.0.0.2", "s@remote.example", 0)
    assert (await greedy.ask("MAIL FROM:<s@remote.example>")).startswith("451 4.7.1")
    assert (await waiting.ask("DATA")).startswith("451 4.7.1")
    other = await rig.connect("127.0.0.3")
    await other.greet()
    assert (await other.ask("MAIL FROM:<s@else.example>")).startswith("250")
