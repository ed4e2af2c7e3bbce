"""The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): the client of a proxy.

A server reads a header on each connection from a trusted proxy, and on no other connection: there
its bytes are an unknown command. So only a trusted proxy can name a peer.
"""

import asyncio
import ipaddress
import logging
import struct
from typing import Protocol

from edge.trusted_networks import plain_address

V1_MAX_BYTES = 107  # §2.1, with its CRLF
V2_MAX_BYTES = 2048  # addresses take up to 216; extensions follow and are ignored
_V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V1_START = b"PROXY "
_PORTS_MAX = 65_535


log = logging.getLogger(__name__)


class ProxyStats(Protocol):
    """Counters of a server behind proxies."""

    bad_proxy_headers_total: int


class BadProxyHeader(Exception):
    """The header is missing or malformed. The message gives the reason without its bytes."""


async def client_of(
    proxy: str, reader: asyncio.StreamReader, *, within_s: float, stats: ProxyStats
) -> str | None:
    """The address that the header from `proxy` names, else that of `proxy`.

    None, counted and logged: the header is missing or malformed, the connection has to end.
    """
    try:
        return await read_header(reader, within_s=within_s) or proxy
    except BadProxyHeader as error:
        stats.bad_proxy_headers_total += 1
        log.warning("connection of a trusted proxy closed: bad PROXY header: %s", error)
        return None


async def read_header(reader: asyncio.StreamReader, *, within_s: float) -> str | None:
    """The client's address; None for a connection of the proxy itself, such as a health check.

    Reads no byte behind the header. Raises BadProxyHeader, also after `within_s`.
    """
    try:
        async with asyncio.timeout(within_s):
            return await _read(reader)
    except TimeoutError:
        raise BadProxyHeader(f"not within {within_s:g} s") from None
    except EOFError:
        raise BadProxyHeader("the connection ended") from None


async def _read(reader: asyncio.StreamReader) -> str | None:
    start = await reader.readexactly(len(_V2_SIGNATURE))
    if start == _V2_SIGNATURE:
        head = await reader.readexactly(4)
        length = struct.unpack("!H", head[2:])[0]
        if length > V2_MAX_BYTES:
            raise BadProxyHeader(f"version 2 with {length} bytes of addresses")
        return parse_v2(head, await reader.readexactly(length))
    if not start.startswith(_V1_START):
        raise BadProxyHeader("the connection does not begin with a PROXY header")
    line = start
    while not line.endswith(b"\r\n"):
        if len(line) >= V1_MAX_BYTES:
            raise BadProxyHeader(f"version 1 longer than {V1_MAX_BYTES} bytes")
        line += await reader.readexactly(1)
    return parse_v1(line)


def parse_v1(line: bytes) -> str | None:
    """The client of a line such as `PROXY TCP4 192.0.2.7 192.0.2.1 56324 25` with CRLF (§2.1).

    Raises BadProxyHeader.
    """
    try:
        words = line.decode("ascii").removesuffix("\r\n").split(" ")
    except UnicodeDecodeError:
        raise BadProxyHeader("version 1 beyond ASCII") from None
    if words[1:2] == ["UNKNOWN"]:
        return None
    if len(words) != 6 or words[1] not in {"TCP4", "TCP6"}:
        raise BadProxyHeader("version 1 without TCP4, TCP6 or UNKNOWN and two addresses")
    _, family, source, target, *ports = words
    versions = {_version(source), _version(target)}
    if versions != {int(family[-1])} or not all(map(_is_port, ports)):
        raise BadProxyHeader("version 1 with a bad address or port")
    return plain_address(source)


def _version(text: str) -> int | None:
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= _PORTS_MAX


def parse_v2(head: bytes, rest: bytes) -> str | None:
    """The client of a version 2 header (§2.2). Raises BadProxyHeader.

    `head`: the four bytes behind the signature. `rest`: the bytes whose length `head` gives.
    """
    version, command = head[0] >> 4, head[0] & 0x0F
    if version != 2 or command > 1:
        raise BadProxyHeader(f"version {version}, command {command}")
    if command == 0:
        return None  # LOCAL: addresses, if any, are to be ignored
    match head[1]:
        case 0x00:
            return None  # UNSPEC
        case 0x11 if len(rest) >= 12:
            return plain_address(str(ipaddress.IPv4Address(rest[:4])))
        case 0x21 if len(rest) >= 36:
            return plain_address(str(ipaddress.IPv6Address(rest[:16])))
        case family:
            raise BadProxyHeader(
                f"version 2, family and protocol {family:#04x} in {len(rest)} bytes"
            )
