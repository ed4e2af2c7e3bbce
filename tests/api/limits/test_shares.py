"""Limits of a peer and of a user: requests, frames, sockets; parsing cost of header fields."""

import asyncio
import time

import aiohttp
import pytest

from api.http.compression import accepts_gzip
from edge.token_bucket import KEYS_MAX, TokenBuckets
from edge.trusted_networks import Networks
from tests.support.edge_world import World

SIGNED, OPEN = "/v1/me", ("/healthz", "/", "/nowhere", "/v1/openapi.json", "/v1/push")
BY_PROXY = Networks.parse("127.0.0.1")


def peer(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def status(client: aiohttp.ClientSession, path: str) -> int:
    async with client.get(path) as response:
        return response.status


def test_no_accept_encoding_is_costly_to_read() -> None:
    """Regression: 8,000 spaces in a row took 0.2 s."""
    began_s = time.process_time()
    for filler in (" ", "\t", " ;", ";q=0", "a", "1"):
        for _ in range(20):
            accepts_gzip("a" + filler * 8_000 + "x")
    assert time.process_time() - began_s < 2
    assert accepts_gzip("br ; q = 1 , gzip ; q = 0.5")


async def test_a_peer_without_a_sign_in_has_so_many_requests(make_world) -> None:
    world = await make_world(anonymous_per_minute=8, proxies=BY_PROXY)
    token = await world.token()  # from the proxy's own address, which counts as a peer
    one, other = world.client(**peer("192.0.2.1")), world.client(**peer("192.0.2.2"))
    bogus = world.client("x" * 43, **peer("192.0.2.1"))
    assert [await status(one, path) for path in OPEN] == [200, 200, 404, 200, 426]
    assert [await status(one, SIGNED) for _ in range(2)] == [401, 401]
    assert await status(bogus, SIGNED) == 401
    async with one.get("/healthz") as response:
        assert (response.status, (await response.json())["code"]) == (429, "too_many")
        assert int(response.headers["Retry-After"]) >= 1
    assert await status(bogus, SIGNED) == 429
    async with one.options("/v1/messages/x") as response:
        assert response.status == 429
    assert await status(other, "/healthz") == 200
    assert await status(world.client(token, **peer("192.0.2.1")), SIGNED) == 200


async def test_an_ipv6_network_of_64_bits_is_one_peer(make_world) -> None:
    world = await make_world(anonymous_per_minute=2, proxies=BY_PROXY)
    for address, expected in (("::1", 200), ("::2", 200), ("::3", 429)):
        assert await status(world.client(**peer("2001:db8" + address)), "/healthz") == expected


def test_buckets_that_are_full_again_or_too_many_are_forgotten() -> None:
    now_s = [0.0]
    buckets = TokenBuckets(60, lambda: now_s[0])
    for number in range(KEYS_MAX + 5):
        buckets.take(str(number), 1)
    assert len(buckets._full_at_s) == KEYS_MAX
    assert buckets.full_in_s("4") == 0
    assert buckets.full_in_s("5") == 1
    now_s[0] = 2.0
    buckets.take("last", 0)
    buckets.take("last", 1)
    assert list(buckets._full_at_s) == ["last"]


async def ended_with(ws: aiohttp.ClientWebSocketResponse) -> int | None:
    while not ws.closed:
        await ws.receive(timeout=10)
    return ws.close_code


@pytest.mark.parametrize("kind", ["ping of ours", "PING frame", "PONG frame"])
async def test_a_socket_that_sends_too_many_frames_is_closed(make_world, kind: str) -> None:
    world = await make_world(socket_frames_per_minute=30)
    client = await world.signed()
    ws, calm = [await client.ws_connect("/v1/push", autoping=False) for _ in range(2)]
    send = {
        "ping of ours": lambda: ws.send_str('{"type":"ping"}'),
        "PING frame": ws.ping,
        "PONG frame": ws.pong,
    }
    for _ in range(40):
        await send[kind]()
    assert await ended_with(ws) == 1008
    await calm.ping(b"there?")
    assert (await calm.receive(timeout=10)).type is aiohttp.WSMsgType.PONG


async def test_a_peer_has_so_many_sockets_that_have_not_signed_in(make_world) -> None:
    world = await make_world(sockets_unsigned=3, sockets_unsigned_per_peer=2, proxies=BY_PROXY)
    one, other = world.client(**peer("192.0.2.1")), world.client(**peer("192.0.2.2"))
    held = [await one.ws_connect("/v1/push") for _ in range(2)]
    assert await refusal(one) == 429
    third = await other.ws_connect("/v1/push")
    assert await refusal(other) == 503  # the limit of all peers
    await held[0].close()
    await asyncio.sleep(0)
    await held[1].send_json({"token": await world.token()})
    await held[1].send_json({"type": "ping"})
    assert (await held[1].receive_json(timeout=5)) == {"type": "pong"}
    await (await other.ws_connect("/v1/push")).close()
    await third.close()


async def refusal(client: aiohttp.ClientSession) -> int:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/v1/push")
    return refused.value.status


async def test_the_public_port_gives_no_reasons(world: World) -> None:
    world.reasons.append("the feed has no broker")
    async with world.client().get("/readyz") as response:
        assert (response.status, await response.json()) == (503, {"status": "not ready"})
