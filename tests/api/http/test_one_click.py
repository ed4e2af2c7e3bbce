"""One-click unsubscription: the request, and the addresses to which no request is sent."""

import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver

from api.http.one_click import OneClickClient, UnsubscribeFailed
from edge.self_signed_certificate import ensure_own
from mail.outbound_addresses import GLOBAL_ONLY, OutboundAddresses

LOOPBACK = OutboundAddresses.parse("127.0.0.0/8")
NAME = "list.example"


class Names(AbstractResolver):
    """Resolves every name to `addresses`; records the names."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
        self.asked.append(host)
        return [
            {"hostname": host, "host": address, "port": port, "family": 2, "proto": 0, "flags": 0}
            for address in self.addresses
        ]

    async def close(self) -> None: ...


class ListServer:
    """An HTTPS server that records requests and answers `status`."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes, dict[str, str]]] = []
        self.status = 202
        self.port = 0
        self.tls = ssl.create_default_context()

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append((request.path_qs, await request.read(), dict(request.headers)))
        return web.Response(status=self.status, headers={"Location": "https://127.0.0.1/"})


@pytest.fixture
async def server(tmp_path) -> AsyncIterator[ListServer]:
    own, pair = ListServer(), ensure_own(tmp_path, NAME)
    own.tls.load_verify_locations(pair.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", own.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    own.port = runner.addresses[0][1]
    yield own
    await runner.cleanup()


def client_for(server: ListServer, names: Names, outbound: OutboundAddresses) -> OneClickClient:
    return OneClickClient(outbound, ports=frozenset({server.port}), tls=server.tls, resolver=names)


async def test_the_request_is_that_of_the_rfc(server: ListServer) -> None:
    async with client_for(server, Names("127.0.0.1"), LOOPBACK) as client:
        await client.unsubscribe(f"https://{NAME}:{server.port}/off?u=1")
    ((path, body, headers),) = server.requests
    assert (path, body) == ("/off?u=1", b"List-Unsubscribe=One-Click")
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Cookie" not in headers


@pytest.mark.parametrize("status", [301, 404, 500])
async def test_only_success_counts_and_no_redirect_is_followed(
    server: ListServer, status: int
) -> None:
    server.status = status
    async with client_for(server, Names("127.0.0.1"), LOOPBACK) as client:
        with pytest.raises(UnsubscribeFailed, match=str(status)):
            await client.unsubscribe(f"https://{NAME}:{server.port}/")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001", "2130706433", "127.1", "localhost",
     NAME],
)  # fmt: skip
async def test_no_request_reaches_this_machine(server: ListServer, host: str) -> None:
    """In any notation: a literal is refused; a name is resolved, and its address is refused."""
    async with client_for(server, Names("127.0.0.1"), GLOBAL_ONLY) as client:
        with pytest.raises(UnsubscribeFailed):
            await client.unsubscribe(f"https://{host}:{server.port}/")
    assert not server.requests


@pytest.mark.parametrize("address", ["10.0.0.1", "100.64.0.1", "169.254.1.1", "fe80::1", "::1"])
async def test_private_addresses_of_a_name_are_not_connected_to(
    server: ListServer, address: str
) -> None:
    names = Names(address)
    async with client_for(server, names, GLOBAL_ONLY) as client:
        with pytest.raises(UnsubscribeFailed, match="cannot be reached"):
            await client.unsubscribe(f"https://{NAME}:{server.port}/")
    assert names.asked == [NAME]


@pytest.mark.parametrize(
    "url", ["http://list.example/", "https://list.example:22/", "https://", "https://[x", "file:/x"]
)
async def test_other_schemes_and_ports_are_not_permitted(server: ListServer, url: str) -> None:
    names = Names("127.0.0.1")
    async with client_for(server, names, LOOPBACK) as client:
        with pytest.raises(UnsubscribeFailed):
            await client.unsubscribe(url)
    assert not names.asked


async def test_a_certificate_of_another_name_is_refused(server: ListServer) -> None:
    async with client_for(server, Names("127.0.0.1"), LOOPBACK) as client:
        with pytest.raises(UnsubscribeFailed, match="cannot be reached"):
            await client.unsubscribe(f"https://other.example:{server.port}/")
    assert not server.requests
