"""Connections: TLS on the port, limits in total and per peer, silent clients."""

import asyncio
import shutil
import ssl
import warnings

import aiohttp
import pytest

from api.config import ApiConfig
from edge.self_signed_certificate import ensure_own
from edge.tls_certificate import Certificate
from edge.trusted_networks import Networks
from tests.support.edge_world import World
from tests.support.waiting import until


async def opened(**settings: object) -> World:
    world = World(config=ApiConfig(port=0, **settings))
    await world.open()
    return world


@pytest.fixture
async def https(tmp_path):
    pair = ensure_own(tmp_path / "tls", "mail.example")
    world = World(config=ApiConfig(port=0, tls_handshake_s=0.3))
    certificate = Certificate(pair)
    world.tls = certificate.context
    await world.open()
    yield world, certificate, pair
    await world.close()


def pinned(pair) -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(pair.sha256()))


async def test_everything_works_over_tls_and_says_so(https) -> None:
    world, _, pair = https
    async with aiohttp.ClientSession(world.url, connector=pinned(pair)) as client:
        async with client.post("/v1/login", json=world.credentials("alice")) as response:
            assert response.status == 200
            assert response.headers["Set-Cookie"].startswith("__Host-postriver=")
            assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
            token = (await response.json())["token"]
        big = b"Subject: big\r\n\r\n" + b"x" * 3_000_000
        row = await world.deliver(big)
        bearer = {"Authorization": f"Bearer {token}"}
        async with client.get(f"/v1/messages/{row.message_id}/raw", headers=bearer) as response:
            assert await response.read() == big
        async with client.ws_connect("/v1/push", headers=bearer) as socket:
            await world.deliver()
            assert (await socket.receive_json(timeout=10))["type"] == "change"
            assert world.context.connections.open >= 1


async def test_old_tls_and_no_tls_are_refused_and_nobody_else_suffers(https) -> None:
    world, _, pair = https
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)):
        await asyncio.open_connection("127.0.0.1", world.port, ssl=old)
    plain, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"HTTP" not in await ending(plain)
    writer.close()
    silent, writer = await asyncio.open_connection("127.0.0.1", world.port)
    assert await ending(silent) == b""
    writer.close()
    await until(lambda: world.context.connections.open == 0)
    async with aiohttp.ClientSession(world.url, connector=pinned(pair)) as client:
        assert (await client.get("/healthz")).status == 200


async def ending(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes or resets the connection."""
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""


async def test_a_new_certificate_is_presented_without_a_restart(https, tmp_path) -> None:
    world, certificate, old = https
    new = ensure_own(tmp_path / "new", "mail.example")
    before = pinned(old)
    async with aiohttp.ClientSession(world.url, connector=before) as kept:
        assert (await kept.get("/healthz")).status == 200
        for source, target in ((new.certificate, old.certificate), (new.key, old.key)):
            shutil.copy(source, target)
        for _ in range(2):
            await certificate.reload_if_changed()
        async with aiohttp.ClientSession(world.url, connector=pinned(new)) as client:
            assert (await client.get("/healthz")).status == 200
        assert (await kept.get("/healthz")).status == 200  # on its open connection


async def test_a_peer_may_have_so_many_connections() -> None:
    world = await opened(connections_per_peer_max=2)
    held = [await asyncio.open_connection("127.0.0.1", world.port) for _ in range(2)]
    await until(lambda: world.context.connections.open == 2)
    third, writer = await asyncio.open_connection("127.0.0.1", world.port)
    assert await ending(third) == b""
    writer.close()
    assert world.context.connections.refused_total == 1
    held[0][1].close()
    await until(lambda: world.context.connections.open == 1)
    async with world.client().get("/healthz") as response:
        assert response.status == 200
    held[1][1].close()
    await world.close()


async def test_all_peers_together_may_have_so_many() -> None:
    world = await opened(connections_max=1, proxies=Networks.parse("127.0.0.1"))
    _, held = await asyncio.open_connection("127.0.0.1", world.port)
    await until(lambda: world.context.connections.open == 1)
    second, writer = await asyncio.open_connection("127.0.0.1", world.port)
    assert await ending(second) == b""
    for each in (held, writer):
        each.close()
    await world.close()


async def test_behind_a_proxy_requests_of_one_peer_are_capped() -> None:
    world = await opened(connections_per_peer_max=1, proxies=Networks.parse("127.0.0.1"))
    token = await world.token()
    one = world.client(token, **{"X-Forwarded-For": "198.51.100.1"})
    other = world.client(token, **{"X-Forwarded-For": "198.51.100.2"})
    async with one.ws_connect("/v1/push"):
        async with one.get("/healthz") as response:
            assert response.status == 429
        async with other.get("/healthz") as response:
            assert response.status == 200
    await until(lambda: world.context.connections._of_peer.total() == 0)
    async with one.get("/healthz") as response:
        assert response.status == 200
    await world.close()


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nA"])
async def test_a_head_that_does_not_come_is_not_waited_for(said: bytes) -> None:
    world = await opened(keepalive_s=0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(said)
    drip = asyncio.create_task(dripping(writer, b"a" if said else b""))
    assert await ending(reader) == b""
    drip.cancel()
    await asyncio.gather(drip, return_exceptions=True)
    writer.close()
    await until(lambda: world.context.connections.open == 0)
    await world.close()


async def dripping(writer: asyncio.StreamWriter, byte: bytes) -> None:
    while True:
        await asyncio.sleep(0.05)
        writer.write(byte)


async def test_a_body_that_does_not_come_is_answered() -> None:
    world = await opened(body_max_s=0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    head = b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    writer.write(head + b"Content-Length: 100\r\n\r\n{")
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 408")
    writer.close()
    await world.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: a\r\n" * 200 + b"\r\n",
    ],
)
async def test_a_head_has_limits(head: bytes) -> None:
    world = await opened()
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(head)
    assert (await asyncio.wait_for(reader.readline(), 10)).split()[1] == b"400"
    writer.close()
    await world.close()
