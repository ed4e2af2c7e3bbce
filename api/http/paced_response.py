"""Send long answers at the pace of their reader, who has to take a least rate.

An answer that is not taken holds memory, a connection and a slot. A reader that falls behind is
cut off; what a kernel holds for a peer that takes nothing ends by TCP_USER_TIMEOUT
(api/http/connection_limits.py).
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
    """How late a reader is: time beyond the least rate adds up, faster reading makes up for it.

    Never more than on time, so that a fast beginning is no credit for a stall.
    """

    def __init__(self, config: ApiConfig) -> None:
        self._grace_s = config.download_stall_s
        self._each_s = 1 / config.download_least_bytes_per_s
        self._late_s = 0.0

    def allowed_s(self, size_bytes: int) -> float:
        """Seconds within which the next `size_bytes` must be taken."""
        return self._grace_s - self._late_s + size_bytes * self._each_s

    def took(self, size_bytes: int, spent_s: float) -> None:
        self._late_s = max(0.0, self._late_s + spent_s - size_bytes * self._each_s)


async def send(
    request: web.Request,
    response: web.StreamResponse,
    pieces: AsyncIterator[bytes],
    config: ApiConfig,
) -> web.StreamResponse:
    """Send `pieces`, or only the head for HEAD. A reader below the least rate is cut off."""
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
    """End the connection, and drop what the kernel still holds for it."""
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
        pace.took(len(chunk), time.monotonic() - began_s)


async def whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


def is_long(request: web.Request, response: web.StreamResponse) -> bool:
    """Whether an answer is one to send in pieces; shorter ones fit into buffers that are there."""
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
    """A whole answer, for which `is_long`."""
    body = response.body
    assert isinstance(body, bytes)
    streamed = web.StreamResponse(status=response.status, headers=response.headers)
    streamed.content_length = len(body)
    return await send(request, streamed, whole(body), config)
