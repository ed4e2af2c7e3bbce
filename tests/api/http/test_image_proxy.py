"""Image proxy: where it connects to, what it sends, and what it takes for an image."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from api.http.image_proxy import (
    REDIRECTS_MAX,
    SIZE_MAX_BYTES,
    ImageFailed,
    ImageProxy,
    RemoteImage,
)
from mail.outbound_addresses import OutboundAddresses
from tests.api.http.test_one_click import Names

NAME = "pictures.example"
PERMITTED = OutboundAddresses.parse("127.0.0.1/32")  # the server of the test; no other address
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 40
IMAGES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0 more",
    "image/gif": b"GIF89a more",
    "image/webp": b"RIFF\n\0\0\0WEBPVP8 ",
    "image/avif": b"\0\0\0 ftypavif\0\0",
}
NO_IMAGES = [
    b"<svg xmlns='http://www.w3.org/2000/svg'><script>x()</script></svg>",
    b"<!doctype html><script>x()</script>",
    b"<?xml version='1.0'?><svg/>",
    b" GIF89a",
    b"\xef\xbb\xbf<html>",
    b"%PDF-1.7",
    b"a{color:red}",
    b"RIFF\n\0\0\0WAVE",
    b"\0\0\0 ftypmp42",
    b"BM\0\0",
    PNG[:7],
    b"",
    gzip.compress(PNG, mtime=0),
]
HERE = [  # the loopback, in notations that the resolver of a system may accept
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "017700000001", "0177.0.0.1", "0177.0.0.01",
    "0x7f000001", "0x7f.0.0.1", "0x7f.1", "127.0.0.1.", "localhost", "localhost.", "[::1]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]", "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "0.0.0.0", "0", "[::]", "127.0.0.1.nip.io",
]  # fmt: skip
PRIVATE = [
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "100.127.255.254", "169.254.169.254",
    "192.0.0.8", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "0.1.2.3", "fe80::1", "fe80::1%1", "febf::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1",
    "2001::1", "2001:db8::1", "2002:a00:1::",
]  # fmt: skip


class Pictures:
    """An HTTP server whose answers the test sets; it records requests and connections."""

    def __init__(self) -> None:
        self.requests: list[web.BaseRequest] = []
        self.answers: list[web.StreamResponse] = []
        self.port = 0

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        return self.answers.pop(0) if self.answers else web.Response(body=PNG)

    def url(self, path: str = "/a.png", host: str = NAME) -> str:
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
async def server() -> AsyncIterator[Pictures]:
    own = Pictures()
    runner = web.ServerRunner(web.Server(own.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    own.port = runner.addresses[0][1]
    yield own
    await runner.cleanup()


@pytest.fixture
async def refused(server: Pictures) -> AsyncIterator[list[object]]:
    """Connections to addresses of this machine that are not permitted, on the server's port."""
    connections: list[object] = []

    async def record(_reader: object, writer: asyncio.StreamWriter) -> None:
        connections.append(writer.get_extra_info("sockname"))
        writer.close()

    listener = await asyncio.start_server(record, "127.0.0.2", server.port)
    yield connections
    listener.close()
    await listener.wait_closed()


def proxy(
    server: Pictures, names: Names | None = None, *, ports: tuple[int, ...] = (), **more: Any
) -> ImageProxy:
    more = {"outbound": PERMITTED, **more}
    return ImageProxy(ports=ports or {server.port}, resolver=names or Names("127.0.0.1"), **more)


async def fetch(server: Pictures, url: str, names: Names | None = None, **more: Any) -> RemoteImage:
    async with proxy(server, names, **more) as client:
        return await client.fetch(url)


@pytest.mark.parametrize("host", HERE)
async def test_this_machine_is_not_asked_in_any_notation(server: Pictures, host: str) -> None:
    """A literal is refused. A name is resolved, here to the loopback; its address is refused."""
    with pytest.raises(ImageFailed, match=r"not permitted|cannot be reached"):
        await fetch(server, server.url(host=host), outbound=OutboundAddresses())
    assert not server.requests


@pytest.mark.parametrize("address", PRIVATE)
async def test_private_addresses_are_refused_as_literals_and_of_names(
    server: Pictures, address: str
) -> None:
    names = Names(address)
    host = f"[{address.replace('%', '%25')}]" if ":" in address else address
    with pytest.raises(ImageFailed, match="not permitted"):
        await fetch(server, server.url(host=host), names)
    assert names.asked == []
    with pytest.raises(ImageFailed, match="cannot be reached"):
        await fetch(server, server.url(), names)
    assert names.asked == [NAME]


async def test_a_name_is_resolved_once_and_its_checked_address_is_connected_to(
    server: Pictures, refused: list[object]
) -> None:
    """The second answer of the name has no effect; what is not permitted is left out."""

    class Rebinding(Names):
        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
            found = await super().resolve(host, port, family)
            self.addresses = ("127.0.0.2",)
            return found

    names = Rebinding("127.0.0.2", "127.0.0.1")
    assert (await fetch(server, server.url(), names)).octets == PNG
    assert names.asked == [NAME]
    with pytest.raises(ImageFailed, match="cannot be reached"):
        await fetch(server, server.url(), names)
    assert (len(server.requests), refused) == (1, [])


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.2:{port}/", "//127.0.0.2:{port}/", "http://[::ffff:127.0.0.2]:{port}/",
        "http://2130706434:{port}/", "http://inner.example:{port}/", "http://169.254.169.254/",
        "ftp://127.0.0.1:{port}/", "file:///etc/passwd", "data:image/png;base64,xx", "http://[x",
        "http://pictures.example:22/", "http://a:b@pictures.example:{port}/", "gopher://x/",
    ],
)  # fmt: skip
async def test_each_redirect_is_checked_as_the_url_was(
    server: Pictures, refused: list[object], to: str
) -> None:
    class Inner(Names):
        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
            self.addresses = ("127.0.0.2",) if host == "inner.example" else ("127.0.0.1",)
            return await super().resolve(host, port, family)

    location = to.format(port=server.port)
    server.answers = [web.Response(status=302, headers={"Location": location})]
    with pytest.raises(ImageFailed):
        await fetch(server, server.url(), Inner(), ports=(server.port, 80))
    assert (len(server.requests), refused) == (1, [])


async def test_at_most_three_redirects_are_followed(server: Pictures) -> None:
    def redirects(count: int) -> list[web.StreamResponse]:
        statuses = [301, 307, 303, 308][:count]
        return [web.Response(status=one, headers={"Location": "b.png?x"}) for one in statuses]

    server.answers = redirects(REDIRECTS_MAX)
    assert (await fetch(server, server.url("/p/a.png"))).octets == PNG
    assert [one.path_qs for one in server.requests] == ["/p/a.png", *["/p/b.png?x"] * 3]
    server.answers = redirects(REDIRECTS_MAX + 1)
    with pytest.raises(ImageFailed, match="too many redirects"):
        await fetch(server, server.url())
    assert len(server.requests) == 4 + 4


@pytest.mark.parametrize(
    "url",
    [
        "https://pictures.example:22/", "ftp://pictures.example/", "file:///etc/passwd", "//x/a",
        "http://u:p@pictures.example/", "http://u@pictures.example/", "http://", "http://[x", "",
        "javascript:x()", "http://pictures.example:99999/", "http://pictures.example:8080/",
    ],
)  # fmt: skip
async def test_other_schemes_ports_and_credentials_are_not_permitted(
    server: Pictures, url: str
) -> None:
    names = Names("127.0.0.1")
    with pytest.raises(ImageFailed, match="not permitted"):
        await fetch(server, url, names, ports=(80, 443))
    assert names.asked == []


async def test_a_request_says_nothing_about_the_reader(server: Pictures) -> None:
    """A cookie that the server sets does not come back, and it learns no other address."""
    headers = {"Location": "/b", "Set-Cookie": "id=1"}
    server.answers = [web.Response(status=302, headers=headers)]
    async with proxy(server) as client:
        await client.fetch(server.url("/a?user=7"))
        await client.fetch(server.url("/c"))
    assert len(server.requests) == 3
    for request in server.requests:
        assert request.method == "GET"
        assert dict(request.headers) == {
            "Host": f"{NAME}:{server.port}",
            "User-Agent": "Postriver",
            "Accept": "image/avif,image/webp,image/png,image/jpeg,image/gif",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }


@pytest.mark.parametrize("content_type", IMAGES)
async def test_the_type_is_that_of_the_first_octets(server: Pictures, content_type: str) -> None:
    server.answers = [web.Response(body=IMAGES[content_type], content_type="text/html")]
    image = await fetch(server, server.url())
    assert image == RemoteImage(content_type, IMAGES[content_type])


@pytest.mark.parametrize("octets", NO_IMAGES)
async def test_all_else_is_no_image_whatever_the_server_says(
    server: Pictures, octets: bytes
) -> None:
    server.answers = [web.Response(body=octets, content_type="image/png")]
    with pytest.raises(ImageFailed, match="sent no image"):
        await fetch(server, server.url())


@pytest.mark.parametrize("status", [201, 206, 300, 304, 404, 500])
async def test_only_an_ok_is_an_image(server: Pictures, status: int) -> None:
    server.answers = [web.Response(status=status, body=PNG)]
    with pytest.raises(ImageFailed, match=str(status)):
        await fetch(server, server.url())


async def test_a_larger_image_is_refused_by_its_header_or_as_it_comes(server: Pictures) -> None:
    whole = PNG + b"x" * (SIZE_MAX_BYTES - len(PNG))
    server.answers = [web.Response(body=whole), web.Response(body=whole + b"x")]
    assert len((await fetch(server, server.url())).octets) == SIZE_MAX_BYTES
    with pytest.raises(ImageFailed, match="too large"):
        await fetch(server, server.url())

    class Endless(web.StreamResponse):
        sent = 0

        async def write_eof(self, data: bytes = b"") -> None:
            try:
                while True:
                    await self.write(b"x" * 65_536)
                    self.sent += 65_536
            except ConnectionError:
                pass

    endless = Endless()
    server.answers = [endless]
    with pytest.raises(ImageFailed, match="too large"):
        await fetch(server, server.url())
    assert endless.sent < 4 * SIZE_MAX_BYTES


async def test_a_compressed_bomb_is_not_unpacked(server: Pictures) -> None:
    packed = gzip.compress(PNG + bytes(SIZE_MAX_BYTES * 2))
    headers = {"Content-Encoding": "gzip"}
    server.answers = [web.Response(body=packed, headers=headers, content_type="image/png")]
    with pytest.raises(ImageFailed, match="sent no image"):
        await fetch(server, server.url())


async def test_a_slow_server_is_left_after_the_time_of_the_whole_image(server: Pictures) -> None:
    class Slow(web.StreamResponse):
        async def write_eof(self, data: bytes = b"") -> None:
            try:
                while True:
                    await self.write(b"x")
                    await asyncio.sleep(0.01)
            except ConnectionError:
                pass

    server.answers = [web.Response(status=302, headers={"Location": "/b"}), Slow()]
    with pytest.raises(ImageFailed, match="cannot be reached"):
        await fetch(server, server.url(), timeout_s=0.5)
    assert len(server.requests) == 2
