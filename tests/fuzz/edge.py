"""Fuzz targets for HTTP and push: any octets as requests and frames to a real edge, never a 5xx."""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp

from tests.fuzz.target import Target, encoded
from tests.support.edge_world import World

ENDINGS = frozenset({1000, 1002, 1007, 1008, 1009, 4401})


class ErrorRecords(logging.Handler):
    """Collects the errors that the edge logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@dataclass
class RunningEdge:
    """An edge, the token of a user, and a message of this user."""

    world: World
    token: str
    message_id: str
    loop: asyncio.Runner


_EDGES: list[RunningEdge] = []


@contextmanager
def running_edge() -> Iterator[None]:
    errors = ErrorRecords()
    logging.getLogger().addHandler(errors)
    with asyncio.Runner() as loop:
        world = World()
        loop.run(world.open())
        row, token = loop.run(world.deliver()), loop.run(world.token())
        _EDGES.append(RunningEdge(world, token, row.message_id, loop))
        try:
            yield
        finally:
            _EDGES.clear()
            loop.run(world.close())
            logging.getLogger().removeHandler(errors)
    assert [record.getMessage() for record in errors.records] == []


def request(data: bytes) -> None:
    """Send one request: `METHOD TARGET`, a line end, the body. M is replaced by a message id."""
    _EDGES[0].loop.run(_request(data, _EDGES[0]))


async def _request(data: bytes, running: RunningEdge) -> None:
    message_id = running.message_id.encode()
    line, body = (part.replace(b"M", message_id) for part in data.partition(b"\n")[::2])
    head = b"%s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" % line
    head += b"Authorization: Bearer %s\r\n" % running.token.encode()
    head += b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    reader, writer = await asyncio.open_connection("127.0.0.1", running.world.port)
    writer.write(head + body)
    response = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    _check(response)


def _check(response: bytes) -> None:
    head, _, body = response.partition(b"\r\n\r\n")
    version, status, *_ = head.split(b" ")
    assert version.startswith(b"HTTP/1.")
    assert b"200" <= status < b"500", head
    if status >= b"400" and b"application/problem+json" in head:
        problem = json.loads(body)
        assert problem["status"] == int(status)
        assert problem["code"]


def frames(data: bytes) -> None:
    """Send the lines as frames of an authenticated WebSocket: it pongs, or closes with a reason."""
    _EDGES[0].loop.run(_frames(data, _EDGES[0]))


async def _frames(data: bytes, running: RunningEdge) -> None:
    async with running.world.client(running.token) as client:
        socket = await client.ws_connect("/v1/push?since=0")
        pings = await _send(socket, data.split(b"\n"))
        pongs = 0
        async for message in socket:
            pongs += json.loads(message.data)["type"] == "pong"
            if pongs == pings:
                break
        await socket.close()
        if pongs < pings:
            assert socket.close_code in ENDINGS


async def _send(socket: aiohttp.ClientWebSocketResponse, lines: list[bytes]) -> int:
    """Return the number of pongs to expect if the socket is not closed."""
    for line in lines:
        text = line.decode("utf-8", "surrogateescape")
        if text.isprintable() or not text:
            await socket.send_str(text)
        else:
            await socket.send_bytes(line)
    await socket.send_str('{"type":"ping"}')
    return sum(b"ping" in line for line in lines) + 1


REQUEST_WORDS = (
    *encoded(
        "GET ", "POST ", "PATCH ", "DELETE ", "PUT ", "HEAD ", "/v1/messages", "/v1/messages/M",
        "/v1/folders", "/v1/folders/inbox", "/v1/folders/inbox/messages", "/v1/search?q=", "/raw",
        "/v1/messages/M/attachments/", "/v1/changes?since=", "/v1/me", "/v1/login", "/v1/logout",
        "/v1/snapshot", "/v1/push", "?", "&", "=", "limit=", "cursor=", "since=", "unread=true",
        "from=", "after=", "2026-11-24", "tz=", "Europe/Berlin", "order=relevance", "0", "1", "-1",
        "999999999999999", "%", "%00", "%ff", "%ed%a0%80", "%2e%2e%2f", "/", "..", "\n", "\n{", "{",
        "}", '"', ":", ",", "[", "]", "[" * 500, '"unread":true', '"keywords":{"$seen":true}',
        "null",
        '"folder_ids":["inbox"]', '"add_folder_ids":["trash"]', '"ids":["M"]', '"name":"a"', "true",
        '"parent_id":"inbox"', '"name":"\\u0000"', '"name":"\\ud800"', "is:unread", "(", "*", "é",
        '"remove_folder_ids":["inbox"]', '"keywords":{"\\u0000":true}', "M", "x", "NaN", "1e999",
    ),
    b"\xff", b"\xed\xa0\x80",
)  # fmt: skip
REQUEST_BEGINS = encoded(
    "GET /v1/messages?", "PATCH /v1/messages/M\n{", "PATCH /v1/messages\n{", "POST /v1/folders\n{",
    "GET /v1/search?q=", "DELETE /v1/messages\n{", "GET /v1/folders/inbox/messages?", "GET /",
    "PATCH /v1/messages/M\n", "GET /v1/changes?since=",
)  # fmt: skip
FRAME_WORDS = (
    *encoded(
        '{"type":"ping"}', '{"type":"ping"}\n', "\n", "{", "}", '"type":', '"ping"', '"token":',
        "1",
        '"a"', "[" * 300, "null", "\x00", "é", '{"token":"x"}', '{"type":"token"}', " ", ",",
        "x" * 900,
    ),
    b"\xff",
)  # fmt: skip
TARGETS = (
    Target("request", request, REQUEST_WORDS, REQUEST_BEGINS, running_edge, examples=120),
    Target("frames", frames, FRAME_WORDS, (b"",), running_edge, examples=40),
)
