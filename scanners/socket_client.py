"""Request and response with a scanner over a socket, with limits of time and concurrency.

Uses sockets instead of asyncio streams for one reason: a scanner that refuses a mail responds and
closes while the client is still sending. A stream then reports the broken pipe and drops the
response in its buffer; a socket still returns the response.
"""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mail.errors import ScannerUnavailable

REPLY_MAX_BYTES = 1024 * 1024
_READ_BYTES = 64 * 1024
_JOIN_MAX_BYTES = 64 * 1024  # requests up to this size are sent in one call

CONNECT_LIMIT_S = 5.0  # for one address of a host

ScannerAddress = Path | tuple[str, int]  # a unix socket, or a host and a port


class ScannerSocket:
    """Client of one scanner: `in_flight` concurrent requests; more requests wait for their turn."""

    def __init__(
        self, name: str, address: ScannerAddress, *, timeout_s: float, in_flight: int
    ) -> None:
        self._name = name
        self._address = address
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(in_flight)

    async def request(
        self, *parts: bytes, half_close: bool = False, timeout_s: float | None = None
    ) -> bytes:
        """Send `parts`, and return all octets until the scanner closes the connection.

        `half_close`: shut down the sending side after the request.
        Raises ScannerUnavailable: no connection, an empty response, or no complete response within
        `timeout_s` seconds after the turn of the request.
        """
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        async with self._turns:
            try:
                async with asyncio.timeout(timeout_s):
                    reply = await self._exchange(parts, half_close=half_close)
            except TimeoutError as error:
                detail = f"no answer within {timeout_s:g} s"
                raise ScannerUnavailable(self._name, detail) from error
            except OSError as error:
                raise ScannerUnavailable(self._name, str(error)) from error
        if not reply:
            raise ScannerUnavailable(self._name, "closed the connection without an answer")
        return reply

    async def _exchange(self, parts: Sequence[bytes], *, half_close: bool) -> bytes:
        with await self._connected() as connection:
            try:
                await _send(connection, parts)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            except ConnectionError:  # the scanner may have responded before it closed
                return await _receive(connection)
            return await _receive(connection)

    async def _connected(self) -> socket.socket:
        """Connect to the first address of the host that answers. Raises OSError."""
        if isinstance(self._address, Path):
            return await _connected(socket.AF_UNIX, str(self._address))
        host, port = self._address
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        *others, (last_family, _, _, _, last) = found
        for family, _, _, _, address in others:
            with suppress(OSError):
                return await _connected(family, address)
        return await _connected(last_family, last)


async def _connected(family: int, address: Any) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        async with asyncio.timeout(CONNECT_LIMIT_S):
            await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _send(connection: socket.socket, parts: Sequence[bytes]) -> None:
    loop = asyncio.get_running_loop()
    if sum(map(len, parts)) <= _JOIN_MAX_BYTES:
        parts = (b"".join(parts),)
    for part in parts:
        await loop.sock_sendall(connection, part)


async def _receive(connection: socket.socket) -> bytes:
    """Return all octets until the end; a reset after the first octets counts as the end."""
    loop = asyncio.get_running_loop()
    reply = b""
    while len(reply) <= REPLY_MAX_BYTES:
        try:
            more = await loop.sock_recv(connection, _READ_BYTES)
        except ConnectionError:
            if reply:
                return reply
            raise
        if not more:
            return reply
        reply += more
    raise ConnectionError(f"answered more than {REPLY_MAX_BYTES} bytes")
