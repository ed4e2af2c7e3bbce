"""Long responses: sent at the client's pace, streamed, and limited by user."""

import asyncio
import socket
import time
from contextlib import ExitStack

import aiohttp
import pytest

from api.config import ApiConfig
from api.http.paced_response import ResponsePace
from api.limits.transfer_slots import TransferSlots, download_slots
from api.problems import Problem
from api.rest.reading.downloads import PIECE_BYTES
from tests.support.edge_world import PLAIN, World
from tests.support.waiting import until

MIB = 1024 * 1024


def open_request(world: World, token: str, path: str) -> socket.socket:
    """Send a request with a small receive window, and read nothing."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(10)
    raw.connect(("127.0.0.1", world.port))
    raw.sendall(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: identity\r\n"
        f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    return raw


async def test_an_answer_that_is_not_read_goes_with_its_connection(make_world) -> None:
    """Regression: an unread response held 17 MB without a time limit."""
    world = await make_world(
        download_stall_s=0.3, download_least_bytes_per_s=100 * MIB, text_max_chars=16 * MIB
    )
    body = b"\r\n".join([b"0123456789" * 90] * 13_000)  # more than the kernel buffers for a peer
    row = await world.deliver(PLAIN % b"long" + body)
    token = await world.token()
    before = world.context.connections.open
    held = [open_request(world, token, f"/v1/messages/{row.message_id}") for _ in range(3)]
    try:
        await until(lambda: world.context.download_slots._of_user.total() == 3)
        await until(lambda: world.context.connections.open <= before)
        assert not world.context.download_slots._of_user
    finally:
        for each in held:
            each.close()
    async with world.client(token).get(f"/v1/messages/{row.message_id}") as response:
        assert len((await response.json())["text"]) > 4_000_000


async def test_a_short_answer_that_is_not_read_goes_too(make_world) -> None:
    """The kernel ends a connection whose peer keeps its receive window at zero."""
    world = await make_world(download_stall_s=0.5)
    raw = open_request(world, await world.token(), "/v1/me")
    try:
        await until(lambda: len(world.runner.server.connections) >= 2)
        for each in world.runner.server.connections:
            kept = each.transport.get_extra_info("socket")
            assert kept.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 500
    finally:
        raw.close()


async def test_a_reader_below_the_least_rate_is_cut_off(make_world) -> None:
    world = await make_world(download_stall_s=0.3, download_least_bytes_per_s=4 * MIB)
    row = await world.deliver(PLAIN % b"big" + b"x" * 20_000_000)
    raw = open_request(world, await world.token(), f"/v1/messages/{row.message_id}/raw")
    raw.setblocking(False)
    read, began_s = 0, time.monotonic()
    loop = asyncio.get_running_loop()
    try:
        while piece := await loop.sock_recv(raw, 64 * 1024):
            read += len(piece)
            await asyncio.sleep(0.1)  # pauses shorter than a stall, but far below the least rate
            assert time.monotonic() - began_s < 30
    except ConnectionError:
        pass
    finally:
        raw.close()
    assert read < row.content.size_bytes
    await until(lambda: not world.context.download_slots._of_user)


def test_a_fast_beginning_is_no_credit_for_a_stall() -> None:
    pace = ResponsePace(ApiConfig(download_stall_s=10.0, download_least_bytes_per_s=1_000))
    pace.record(1_000_000, 0.5)
    assert pace.allowed_s(1_000) == 11.0
    pace.record(1_000, 9.0)
    assert pace.allowed_s(1_000) == pytest.approx(3.0)
    pace.record(5_000, 1.0)
    assert pace.allowed_s(0) == pytest.approx(6.0)


async def test_a_raw_mail_is_streamed_from_the_store(make_world) -> None:
    world = await make_world()
    row = await world.deliver(PLAIN % b"big" + bytes(range(256)) * 80_000)
    client = await world.signed()
    async with client.get(f"/v1/messages/{row.message_id}/raw") as response:
        await until(lambda: world.context.download_slots._bytes_of_user.total() == PIECE_BYTES)
        assert await response.read() == world.contents.contents[row.content.ref]


async def test_content_that_is_lost_while_it_is_sent_is_no_whole_answer(make_world) -> None:
    world = await make_world()
    row = await world.deliver(PLAIN % b"big" + b"x" * 20_000_000)
    client = await world.signed()
    async with client.get(f"/v1/messages/{row.message_id}/raw") as response:
        del world.contents.contents[row.content.ref]
        with pytest.raises(aiohttp.ClientError):
            await response.read()


def taken(downloads: TransferSlots, held: ExitStack, user_id: str, size_bytes: int) -> int:
    """Take all slots that the user may have; return their number."""
    for count in range(100):
        try:
            held.enter_context(downloads.slot(user_id, size_bytes))
        except Problem:
            return count
    raise AssertionError("no limit")


def test_a_few_users_do_not_take_all_slots_or_all_memory() -> None:
    downloads = download_slots(ApiConfig())
    with ExitStack() as held:
        counts = [taken(downloads, held, f"u{n}", 0) for n in range(8)]
    assert counts[:2] == [8, 8]
    assert all(counts), "the eighth one still gets one"
    with ExitStack() as held:
        shares = [taken(downloads, held, f"u{n}", 20 * MIB) * 20 for n in range(5)]
    assert all(shares)
    assert sum(shares) <= 256
    assert not downloads._of_user
