"""Slots and memory of mails in progress: no peer gets all of them, and slow mails give way."""

import asyncio

import pytest

from smtp.server.config import SmtpConfig
from smtp.server.stats import SmtpStats
from smtp.server.transfers import Transfers
from tests.smtp.server.conftest import HOSTNAME
from tests.support.waiting import until

LINE = b"y" * 98 + b"\r\n"
WIRE = b"Subject: x\r\n\r\nhello\r\n.\r\n"
MIB = 1024 * 1024


async def ask_for_data(client, declared: str = "") -> str:
    await client.greet()
    await client.ask(f"MAIL FROM:<s@remote.example>{declared}")
    await client.ask("RCPT TO:<alice@postriver.test>")
    return await client.ask("DATA")


async def hold_slots(rig, peer: str, count: int) -> list:
    """Clients of `peer` in DATA: those of `count` that get a slot."""
    clients = [await rig.connect(peer) for _ in range(count)]
    return [one for one in clients if (await ask_for_data(one)).startswith("354")]


async def test_two_peers_cannot_hold_all_slots(rig):
    await rig.serve(data_max=16)
    assert len(await hold_slots(rig, "127.0.0.2", 13)) == 4, "a quarter"
    assert len(await hold_slots(rig, "127.0.0.3", 5)) == 4
    honest = await rig.connect("127.0.0.4")
    assert (await honest.send_mail(WIRE)).startswith("250")


async def test_when_all_slots_are_taken_the_slowest_ends_and_the_next_begins(rig):
    server = await rig.serve(data_max=16, data_spared_s=0.0)
    peers = [f"127.0.0.{n}" for n in range(2, 9)]
    held = [(await hold_slots(rig, peer, 2)) for peer in peers]
    assert server.stats.data_in_progress == 14, "all but those for small mails"
    slow = held[3][1]
    for client in (one for pair in held for one in pair if one is not slow):
        await client.send(LINE * 20)
    await until(lambda: server.stats.held_bytes > 13 * 19 * len(LINE))
    honest = await rig.connect("127.0.0.99")
    assert (await honest.send_mail(WIRE)).startswith("250")
    assert (await slow.reply()).startswith("421 4.3.2")
    assert await slow.reply() == "closed"
    await held[0][0].send(b".\r\n")
    assert (await held[0][0].reply()).startswith("250"), "the others go on"


async def test_a_small_mail_has_a_slot_when_all_others_are_taken(rig):
    server = await rig.serve(data_max=16)
    for n in range(2, 9):
        await hold_slots(rig, f"127.0.0.{n}", 2)
    assert server.stats.data_in_progress == 14
    other = await rig.connect("127.0.0.99")
    assert (await ask_for_data(other)).startswith("451 4.3.2"), "young ones are spared"
    assert (await ask_for_data(other, f" SIZE={MIB}")).startswith("451 4.3.2")
    assert (await ask_for_data(other, " SIZE=5000")).startswith("354")
    await other.send(WIRE)
    assert (await other.reply()).startswith("250")


async def test_one_peer_cannot_hold_all_memory(rig):
    server = await rig.serve(held_max_bytes=400_000)
    first, second = await rig.connect("127.0.0.2"), await rig.connect("127.0.0.2")
    await first.begin()
    await first.send(LINE * 900)
    await until(lambda: server.stats.held_bytes > 89_000)
    assert (await second.send_mail(LINE * 900 + b".\r\n")).startswith("451 4.3.2")
    honest = await rig.connect("127.0.0.3")
    assert (await honest.send_mail(LINE * 900 + b".\r\n")).startswith("250")
    await first.send(b".\r\n")
    assert (await first.reply()).startswith("250")


async def test_when_all_memory_is_taken_the_slowest_gives_it_back(rig):
    server = await rig.serve(held_max_bytes=400_000, data_spared_s=0.0, data_fast_bytes_s=1e9)
    holders = [await rig.connect(f"127.0.0.{n}") for n in range(2, 6)]
    for n, client in enumerate(holders, start=1):
        await client.begin()
        await client.send(LINE * 850)
        await until(lambda n=n: server.stats.held_bytes > n * 84_000)
        await asyncio.sleep(0.05)
    honest = await rig.connect("127.0.0.99")
    assert (await honest.send_mail(LINE * 600 + b".\r\n")).startswith("250")
    assert (await holders[0].reply()).startswith("421 4.3.2")


async def test_a_trickle_ends_within_a_window(rig):
    """Single lines at regular intervals do not keep a slot."""
    server = await rig.serve(data_window_s=0.5, data_least_bytes_s=1000.0)
    client = await rig.connect()
    await client.begin()
    told = asyncio.create_task(client.reply())
    for _ in range(200):
        if told.done():
            break
        await client.send(b"drip\r\n")
        await asyncio.sleep(0.05)
    assert (await told).startswith("421 4.4.2")
    assert server.stats.data_in_progress == 0


class ClockedTransfers(Transfers):
    """Transfers with a clock that the test sets."""

    def __init__(self, **settings) -> None:
        self.now_s = 100.0
        self.stats = SmtpStats()
        config = SmtpConfig(hostname=HOSTNAME, **settings)
        super().__init__(config, self.stats, clock=lambda: self.now_s)


def test_the_least_rate_rises_with_what_is_held():
    transfers = ClockedTransfers()
    one = transfers.begin("192.0.2.1", 0)
    assert one.silence_max_s(100.0) == 30.0
    one.add(31 * 1024, 101.0)
    assert one.silence_max_s(101.0) == 59.0, "this window is served"
    assert transfers.hold(one, 45 * MIB)
    assert one.silence_max_s(101.0) == 29.0, "45 MiB want 51 KiB/s"
    one.add(1600 * 1024, 110.0)
    assert one.silence_max_s(110.0) == 50.0
    one.add(1, 131.0)
    assert one.silence_max_s(131.0) == 29.0, "the next window"
    transfers.end(one)
    transfers.end(one)
    assert (transfers.stats.data_in_progress, transfers.stats.held_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("addresses", "slots"),
    [
        (["192.0.2.1"] * 64, 16),
        ([f"2001:db8:0:{n:x}::1" for n in range(64)], 32),
        ([f"192.0.2.{n}" for n in range(64)], 56),
    ],
)
def test_shares_of_a_peer_a_site_and_all(addresses, slots):
    transfers = ClockedTransfers()
    for _ in range(2):
        begun = list(filter(None, (transfers.begin(address, 0) for address in addresses)))
        assert len(begun) == slots
        for one in begun:
            transfers.end(one)


def test_who_comes_fast_or_has_just_begun_gives_way_to_nobody():
    transfers = ClockedTransfers(data_max=8)
    ended = []
    for n in range(7):
        one = transfers.begin(f"192.0.2.{n}", 0)
        one.give_way = lambda n=n: ended.append(n)
    assert transfers.begin("192.0.2.99", 0) is None
    transfers.now_s += 10.0
    for n, one in enumerate(list(transfers._in_progress)):
        one.add(10 * MIB if n != 4 else 10_000, transfers.now_s)
    assert transfers.begin("192.0.2.99", 0) is not None
    assert ended == [4]
    assert transfers.begin("192.0.2.98", 0) is None
