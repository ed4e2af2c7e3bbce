"""Health probes of a process: TCP accept, ping, Kafka's ApiVersions, CQL; HTTP: http_probe.py.

A probe returns None for a healthy process, else the reason. It never raises, and takes at most
PROBE_TIMEOUT_S.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROBE_TIMEOUT_S = 5.0
REPLY_MAX_BYTES = 4096
NOT_LISTENING = "not listening yet"
CORRELATION = b"ping"  # comes back with the answer
API_VERSIONS = b"\0\0\0\x0a" + b"\0\x12\0\0" + CORRELATION + b"\xff\xff"  # v0, no client id
CQL_OPTIONS = b"\x04\0\0\0\x05\0\0\0\0"  # version 4, no flags, stream 0, no body
CQL_SUPPORTED = 6  # the opcode of its answer

Probe = Callable[[], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Ready when the port accepts a connection."""

    port: int
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None

    async def __call__(self) -> str | None:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                _, writer = await asyncio.open_connection(self.host, self.port, ssl=self.tls)
                await _close(writer)
        except (OSError, TimeoutError) as cause:
            return f"port {self.port}: {reason(cause)}"
        return None


@dataclass(frozen=True, slots=True)
class KafkaProbe:
    """Ready when the broker at the port answers ApiVersions; a frozen broker only accepts."""

    port: int
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None

    async def __call__(self) -> str | None:
        try:
            reply = await _reply(self.host, self.port, API_VERSIONS, 8, self.tls)
        except (OSError, TimeoutError, EOFError) as cause:
            return f"port {self.port}: {reason(cause)}"
        return None if reply[4:] == CORRELATION else f"port {self.port}: answered {reply!r}"


@dataclass(frozen=True, slots=True)
class CassandraProbe:
    """Ready when the node at the port answers OPTIONS of the CQL protocol."""

    port: int
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None

    async def __call__(self) -> str | None:
        try:
            reply = await _reply(self.host, self.port, CQL_OPTIONS, 9, self.tls)
        except (OSError, TimeoutError, EOFError) as cause:
            return f"port {self.port}: {reason(cause)}"
        return None if reply[4] == CQL_SUPPORTED else f"port {self.port}: answered {reply!r}"


@dataclass(frozen=True, slots=True)
class PingProbe:
    """Ready when the server answers `ask` with `expect` in it."""

    address: Path | tuple[str, int]  # a unix socket, or a host and a port
    ask: bytes
    expect: bytes
    tls: ssl.SSLContext | None = None  # for a host

    @property
    def name(self) -> str:
        return self.address.name if isinstance(self.address, Path) else f"port {self.address[1]}"

    async def __call__(self) -> str | None:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                reply = await self._ping()
        except (OSError, TimeoutError) as cause:
            return f"{self.name}: {reason(cause)}"
        return None if self.expect in reply else f"{self.name}: answered {reply[:60]!r}"

    async def _ping(self) -> bytes:
        if isinstance(self.address, Path):
            reader, writer = await asyncio.open_unix_connection(self.address)
        else:
            reader, writer = await asyncio.open_connection(*self.address, ssl=self.tls)
        try:
            writer.write(self.ask)
            await writer.drain()
            return await reader.read(REPLY_MAX_BYTES)
        finally:
            await _close(writer)


def reason(cause: BaseException) -> str:
    """Why a process did not answer, for an operator."""
    if isinstance(cause, TimeoutError):
        return f"no answer within {PROBE_TIMEOUT_S:.0f} s"
    if isinstance(cause, FileNotFoundError | ConnectionRefusedError):
        return NOT_LISTENING
    return str(cause) or type(cause).__name__


async def _reply(
    host: str, port: int, request: bytes, size_bytes: int, tls: ssl.SSLContext | None
) -> bytes:
    """Return the first octets of the answer. Raises OSError, TimeoutError, EOFError."""
    async with asyncio.timeout(PROBE_TIMEOUT_S):
        reader, writer = await asyncio.open_connection(host, port, ssl=tls)
        try:
            writer.write(request)
            return await reader.readexactly(size_bytes)
        finally:
            await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
