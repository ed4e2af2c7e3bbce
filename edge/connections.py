"""What TCP servers share: listening sockets, the peer of a connection, and the ways to end one."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Collection
from typing import Any

from edge.trusted_networks import plain_address

_READ_BYTES = 65536
SocketArguments = dict[str, Any]


def listening_sockets(
    descriptors: Collection[int], *, host: str, port: int, reuse_port: bool
) -> list[SocketArguments]:
    """Arguments of `loop.create_server` for each listening socket.

    `descriptors`: sockets that the process has inherited; without any, one socket is made.
    """
    if descriptors:
        return [{"sock": socket.socket(fileno=os.dup(each))} for each in descriptors]
    return [{"host": host, "port": port, "reuse_port": reuse_port or None}]


def peer_address(transport: Any) -> str:
    """The peer's IP address, IPv4-mapped as IPv4; "" for a unix socket."""
    peer = transport.get_extra_info("peername")
    return plain_address(str(peer[0])) or "" if isinstance(peer, tuple) else ""


async def linger(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, within_s: float
) -> None:
    """After the last reply, close the sending side and drop what the client still sends.

    Unread bytes would cause a TCP reset, and the client could lose the reply.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            if writer.can_write_eof():
                writer.write_eof()
            while await reader.read(_READ_BYTES):
                pass


async def wait_ended(tasks: Collection["asyncio.Task[None]"], *, within_s: float) -> None:
    """Wait until the tasks of all connections have ended, at most `within_s`."""
    if tasks:
        await asyncio.wait(tasks, timeout=within_s)
