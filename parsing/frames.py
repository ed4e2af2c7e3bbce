"""Message framing between a process and its parser child, over a socket pair.

A message is the head size (u32), the tail size (u64), the head (MessagePack) and the tail (octets).
"""

import socket
import struct
import time

_SIZES = struct.Struct("<IQ")
CHUNK_MAX_BYTES = 256 * 1024


class ConnectionEnded(Exception):
    """The peer closed its socket."""


class MessageTooLong(Exception):
    """A message exceeds the limits of its receiver."""


def send(connection: socket.socket, head: bytes, tail: bytes) -> None:
    """Send one message.

    Raises ConnectionEnded, or TimeoutError after the timeout of the socket.
    """
    try:
        connection.sendall(_SIZES.pack(len(head), len(tail)) + head)
        if tail:
            connection.sendall(tail)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise ConnectionEnded from error


def receive(
    connection: socket.socket, *, head_max: int, tail_max: int, until_s: float | None = None
) -> tuple[bytes, bytes]:
    """Return the head and tail of the next message.

    Raises ConnectionEnded, MessageTooLong, or TimeoutError at `until_s` (monotonic clock).
    """
    head_size, tail_size = _SIZES.unpack(_exactly(connection, _SIZES.size, until_s))
    if head_size > head_max or tail_size > tail_max:
        raise MessageTooLong
    return _exactly(connection, head_size, until_s), _exactly(connection, tail_size, until_s)


def _exactly(connection: socket.socket, size: int, until_s: float | None) -> bytes:
    buffer = bytearray(size)
    view, received = memoryview(buffer), 0
    while received < size:
        if until_s is not None:
            connection.settimeout(max(until_s - time.monotonic(), 0.001))
        try:
            count = connection.recv_into(view[received : received + CHUNK_MAX_BYTES])
        except ConnectionResetError as error:
            raise ConnectionEnded from error
        if not count:
            raise ConnectionEnded
        received += count
    view.release()
    return bytes(buffer)
