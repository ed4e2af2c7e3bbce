"""Recipient probing: prompt 550, then delayed 550, then 421."""

import asyncio

import pytest

from edge.sliding_window import SlidingSums
from edge.trusted_networks import Networks

ALICE, UNKNOWN, FOREIGN = "alice@postriver.test", "nobody@postriver.test", "x@elsewhere.example"


async def ask_for(client, count: int, path: str = UNKNOWN) -> list[str]:
    """Replies to `count` RCPT of a new mail; the last may be `closed`."""
    await client.greet()
    await client.ask("MAIL FROM:<>")
    return [(await client.ask(f"RCPT TO:<{path}>"))[:9] for _ in range(count)]


@pytest.mark.parametrize("path", [UNKNOWN, FOREIGN])
async def test_one_connection_hears_550_so_many_times(rig, path):
    await rig.serve(unknown_max=20)
    client = await rig.connect()
    got = await ask_for(client, 20, path)
    assert set(got) == {"550 5.1.1" if path == UNKNOWN else "550 5.7.1"}
    assert (await client.ask(f"RCPT TO:<{ALICE}>")).startswith("421 4.7.0"), "a known one tells"
    assert await client.reply() == "closed"


async def test_one_peer_hears_550_so_many_times_an_hour_and_another_peer_may_go_on(rig):
    await rig.serve(unknown_max=20, unknown_per_peer_max=50)
    got = []
    for _ in range(5):
        client = await rig.connect("127.0.0.2")
        got += await ask_for(client, 10)
    assert got == ["550 5.1.1"] * 50
    client = await rig.connect("127.0.0.2")
    await client.greet()
    await client.ask("MAIL FROM:<>")
    assert (await client.ask(f"RCPT TO:<{ALICE}>")).startswith("421 4.7.0")
    other = await rig.connect("127.0.0.3")
    assert await ask_for(other, 1, ALICE) == ["250 2.1.5"]


async def test_beyond_five_each_answer_is_late_and_known_ones_are_not(rig):
    await rig.serve(unknown_delay_s=30.0)
    client = await rig.connect()
    assert await ask_for(client, 5) == ["550 5.1.1"] * 5
    assert (await client.ask(f"RCPT TO:<{ALICE}>")).startswith("250 2.1.5")
    await client.send(f"RCPT TO:<{UNKNOWN}>\r\n".encode())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.reader.readline(), 0.5)


async def test_a_trusted_network_has_no_such_limit(rig):
    await rig.serve(
        unknown_max=2, unknown_per_peer_max=2, unknown_delay_s=60.0,
        trusted=Networks.parse("127.0.0.0/8"),
    )  # fmt: skip
    client = await rig.connect()
    assert await ask_for(client, 30) == ["550 5.1.1"] * 30


def test_sums_slide_and_many_light_keys_push_out_no_heavy_one():
    now_s = 1000.0
    sums = SlidingSums(window_s=60.0, keys_max=10, clock=lambda: now_s)
    for _ in range(5):
        sums.add("heavy", 2.0)
    for n in range(1000):
        sums.add(f"light {n}")
    assert sums.of("heavy") == 10.0
    assert len(sums.all()) <= 11
    now_s += 30.0
    sums.add("heavy", 1.0)
    assert sums.all()["heavy"] == sums.of("heavy") == 11.0
    now_s += 40.0
    assert sums.of("heavy") == 1.0
    now_s += 60.0
    assert sums.all() == {}
