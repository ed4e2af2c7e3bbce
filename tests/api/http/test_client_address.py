"""Client address and scheme behind proxies: which headers are trusted."""

import asyncio

import pytest

from edge.trusted_networks import Networks
from tests.support.edge_world import World

LOCALHOST = Networks.parse("127.0.0.0/8,10.0.0.0/8")


async def guess(world: World, **headers: str) -> int:
    """Status of a failed login: 401, or 429 if the peer is locked out."""
    body = {"address": "nobody@postriver.test", "password": "wrong"}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with world.client(**names).post("/v1/login", json=body) as response:
        return response.status


async def same_peer(world: World, one: dict[str, str], other: dict[str, str]) -> bool:
    """Whether two requests count for the same peer, in a world that allows one failure."""
    assert await guess(world, **one) == 401
    return await guess(world, **other) == 429


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("198.51.100.1", "198.51.100.2", False),
        ("198.51.100.1", "203.0.113.9, 198.51.100.1", True),  # preceded by a forged entry
        ("198.51.100.1, 10.0.0.3", "198.51.100.1", True),  # two trusted proxies
        ("198.51.100.1:4711", "198.51.100.1", True),
        ("[2001:db8::1]:4711", "2001:db8::2", True),  # one /64
        ("2001:db8::1", "2001:db8:0:1::1", False),
        (
            "198.51.100.1, garbage",
            "198.51.100.2, unknown",
            True,
        ),  # malformed: the proxy counts as the client
    ],
)
async def test_the_last_stranger_is_the_peer(make_world, one, other, same) -> None:
    world = await make_world(proxies=LOCALHOST, login_failures_per_peer=1)
    heads = [{"X-Forwarded-For": one}, {"X-Forwarded-For": other}]
    assert await same_peer(world, *heads) == same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("for=198.51.100.1", "for=198.51.100.2;proto=https", False),
        ('For="[2001:db8::1]:4711"; by=10.0.0.1', 'for=x, for="[2001:db8::2]"', True),
        ('for="a, for=203.0.113.9, for=198.51.100.1', "for=198.51.100.1", True),  # unclosed quote
        ("for=_hidden", "for=unknown", True),
    ],
)
async def test_rfc_7239_when_it_is_chosen(make_world, one, other, same) -> None:
    world = await make_world(proxies=LOCALHOST, proxy_header="forwarded", login_failures_per_peer=1)
    spoof = {"X-Forwarded-For": "203.0.113.1"}  # this header is ignored
    heads = [{"Forwarded": one}, {"Forwarded": other, **spoof}]
    assert await same_peer(world, *heads) == same


async def test_from_outside_nobody_is_believed(make_world) -> None:
    world = await make_world(proxies=Networks.parse("10.0.0.0/8"), login_failures_per_peer=1)
    heads = [{"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": "198.51.100.2"}]
    assert await same_peer(world, *heads)
    headers = {"X-Forwarded-Proto": "https", "Forwarded": "proto=https"}
    async with world.client(**headers).get("/healthz") as response:
        assert "Strict-Transport-Security" not in response.headers


async def test_the_scheme_that_the_proxy_names_makes_cookies_secure(make_world) -> None:
    world = await make_world(proxies=LOCALHOST)
    secure = {"X-Forwarded-Proto": "http, https", "X-Forwarded-For": "198.51.100.1"}
    client = world.client(**secure)
    async with client.post("/v1/login", json=world.credentials("alice")) as response:
        assert "max-age" in response.headers["Strict-Transport-Security"]
        cookie = response.headers["Set-Cookie"]
        token = (await response.json())["token"]
    assert cookie.startswith("__Host-postriver=")
    assert "Secure" in cookie
    own = f"//127.0.0.1:{world.port}"
    row = await world.deliver()
    for origin, status in ((f"https:{own}", 200), (f"http:{own}", 403)):
        client = world.client(Cookie=f"__Host-postriver={token}", Origin=origin, **secure)
        path = f"/v1/messages/{row.message_id}"
        async with client.patch(path, json={"flagged": True}) as response:
            assert response.status == status
    async with world.client(Cookie=f"__Host-postriver={token}").get("/v1/me") as response:
        assert response.status == 401  # the HTTPS cookie is not valid over HTTP


async def test_a_refusal_of_the_servers_own_needs_no_client(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 417")
    writer.close()
    await writer.wait_closed()
