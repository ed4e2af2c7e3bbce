"""Send long responses in pieces, and cut off clients that read too slowly.

An unread response occupies memory, a connection and a download slot. A client may be
`download_stall_s` late by the rate `download_least_bytes_per_s`. TCP_USER_TIMEOUT
(api/http/connection_limits.py) ends the connection of a peer that acknowledges nothing.
"""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import hdrs, web

from api.config import ApiConfig

CHUNK_BYTES = 64 * 1024


class ResponsePace:
    """How late a client is, in seconds by the least rate; faster reading reduces the delay.

    The delay is never negative, so a fast start is no credit for a later stall.
    """

    def __init__(self, config: ApiConfig) -> None:
        self._grace_s = config.download_stall_s
        self._each_s = 1 / config.download_least_bytes_per_s
        self._late_s = 0.0

    def allowed_s(self, size_bytes: int) -> float:
        """Seconds within which the client must read the next `size_bytes`."""
        return self._grace_s - self._late_s + size_bytes * self._each_s

    def record(self, size_bytes: int, spent_s: float) -> None:
        self._late_s = max(0.0, self._late_s + spent_s - size_bytes * self._each_s)


async def send(
    request: web.Request,
    response: web.StreamResponse,
    pieces: AsyncIterator[bytes],
    config: ApiConfig,
) -> web.StreamResponse:
    """Send `pieces`; for HEAD only the headers. A client below the least rate is cut off."""
    await response.prepare(request)
    pace = ResponsePace(config)
    try:
        if request.method != hdrs.METH_HEAD:
            async for piece in pieces:
                await _write(response, memoryview(piece), pace)
        async with asyncio.timeout(pace.allowed_s(0)):
            await response.write_eof()
    except (TimeoutError, ConnectionError):
        _cut_off(request)
    return response


def _cut_off(request: web.Request) -> None:
    """Abort the connection and discard the kernel's send buffer (SO_LINGER 0)."""
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _write(response: web.StreamResponse, piece: memoryview, pace: ResponsePace) -> None:
    for start in range(0, len(piece), CHUNK_BYTES):
        chunk = piece[start : start + CHUNK_BYTES]
        began_s = time.monotonic()
        async with asyncio.timeout(pace.allowed_s(len(chunk))):
            await response.write(chunk)
        pace.record(len(chunk), time.monotonic() - began_s)


async def whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


def is_long(request: web.Request, response: web.StreamResponse) -> bool:
    """Whether to send the response in pieces; up to CHUNK_BYTES fits into the write buffers."""
    return (
        isinstance(response, web.Response)
        and request.method != hdrs.METH_HEAD
        and not response.prepared
        and isinstance(response.body, bytes)
        and len(response.body) > CHUNK_BYTES
    )


async def send_long(
    request: web.Request, response: web.Response, config: ApiConfig
) -> web.StreamResponse:
    """Send a response for which `is_long` is true."""
    body = response.body
    assert isinstance(body, bytes)
    streamed = web.StreamResponse(status=response.status, headers=response.headers)
    streamed.content_length = len(body)
    return await send(request, streamed, whole(body), config)
