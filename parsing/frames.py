"""Messages between a process and its parser child, over a pair of sockets.

A message is a u32 head size, a u64 tail size, the head (MessagePack), the tail (octets).
"""

import socket
import struct
import time

_SIZES = struct.Struct("<IQ")
CHUNK_MAX_BYTES = 256 * 1024


class Ended(Exception):
    """The other side closed its socket."""


class Oversized(Exception):
    """A message is longer than its reader takes."""


def send(connection: socket.socket, head: bytes, tail: bytes) -> None:
    """Ended; TimeoutError after the socket's timeout."""
    try:
        connection.sendall(_SIZES.pack(len(head), len(tail)) + head)
        if tail:
            connection.sendall(tail)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise Ended from error


def receive(
    connection: socket.socket, *, head_max: int, tail_max: int, until_s: float | None = None
) -> tuple[bytes, bytes]:
    """Head and tail. Ended; Oversized; TimeoutError at `until_s` (monotonic)."""
    head_size, tail_size = _SIZES.unpack(_exactly(connection, _SIZES.size, until_s))
    if head_size > head_max or tail_size > tail_max:
        raise Oversized
    return _exactly(connection, head_size, until_s), _exactly(connection, tail_size, until_s)


def _exactly(connection: socket.socket, size: int, until_s: float | None) -> bytes:
    buffer = bytearray(size)
    view, at = memoryview(buffer), 0
    while at < size:
        if until_s is not None:
            connection.settimeout(max(until_s - time.monotonic(), 0.001))
        try:
            count = connection.recv_into(view[at : at + CHUNK_MAX_BYTES])
        except ConnectionResetError as error:
            raise Ended from error
        if not count:
            raise Ended
        at += count
    view.release()
    return bytes(buffer)
