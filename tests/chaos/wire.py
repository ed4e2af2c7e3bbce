"""Cutting a port off: its packets vanish, as behind a firewall or a pulled cable.

No answer and no reset comes, which is what clients find hardest. A filter of thirteen instructions
at the root of the control groups drops what comes from or goes to the one port; it is bound to this
process and gone when that ends, however it ends. Needs root, cgroup2 and a kernel that runs BPF.
"""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

_BPF_CALL = {"x86_64": 321, "aarch64": 280}
_PROG_LOAD, _LINK_CREATE = 5, 28
_CGROUP_SKB = 8
_DIRECTIONS = (0, 1)  # in, out
_SKB_DATA, _SKB_DATA_END = 76, 80  # struct __sk_buff
_SOURCE_PORT, _TARGET_PORT = 20, 22  # behind an IPv4 header without options
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def cut_off(port: int) -> Iterator[None]:
    """Nothing passes to or from the TCP port within the block. OSError."""
    with ExitStack() as links:
        group = os.open(_group(), os.O_RDONLY)
        links.callback(os.close, group)
        for direction in _DIRECTIONS:
            program = _load(_drops(port), direction)
            links.callback(os.close, program)
            link = _bpf(_LINK_CREATE, struct.pack("<IIII", program, group, direction, 0))
            links.callback(os.close, link)
        yield


@cache
def why_not() -> str | None:
    """Why no port can be cut off here; None when one can."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        try:
            with cut_off(listener.getsockname()[1]), suppress(TimeoutError):
                socket.create_connection(listener.getsockname(), timeout=0.3).close()
                return "the filter lets packets pass"
        except OSError as error:
            return f"no packet filter by BPF ({error})"
    return None


def _group() -> Path:
    """Where cgroup2 is mounted."""
    for line in Path("/proc/mounts").read_text().splitlines():
        if line.split()[2] == "cgroup2":
            return Path(line.split()[1])
    raise OSError("cgroup2 is not mounted")


def _drops(port: int) -> bytes:
    """`return 0` for a packet from or to `port`, else `return 1`."""
    wire_port = socket.htons(port)
    return b"".join(
        (
            _step(0x61, to=2, source=1, offset=_SKB_DATA),
            _step(0x61, to=3, source=1, offset=_SKB_DATA_END),
            _step(0xBF, to=4, source=2),
            _step(0x07, to=4, value=_TARGET_PORT + 2),
            _step(0x2D, to=4, source=3, offset=4),  # shorter than its ports: passes
            _step(0x69, to=5, source=2, offset=_SOURCE_PORT),
            _step(0x15, to=5, offset=4, value=wire_port),
            _step(0x69, to=5, source=2, offset=_TARGET_PORT),
            _step(0x15, to=5, offset=2, value=wire_port),
            _step(0xB7, to=0, value=1),
            _step(0x95),
            _step(0xB7, to=0, value=0),
            _step(0x95),
        )
    )


def _step(code: int, *, to: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhi", code, to | source << 4, offset, value)


def _load(steps: bytes, direction: int) -> int:
    code, licence = ctypes.create_string_buffer(steps), ctypes.create_string_buffer(b"GPL")
    return _bpf(
        _PROG_LOAD,
        struct.pack(
            "<IIQQIIQII16sII",
            _CGROUP_SKB, len(steps) // 8, ctypes.addressof(code), ctypes.addressof(licence),
            0, 0, 0, 0, 0, b"", 0, direction,
        ),
    )  # fmt: skip


def _bpf(command: int, asked: bytes) -> int:
    """The system call; a new descriptor."""
    number = _BPF_CALL.get(os.uname().machine)
    if number is None:
        raise OSError(f"no number of bpf() known for {os.uname().machine}")
    room = ctypes.create_string_buffer(asked.ljust(144, b"\0"), 144)
    found = _libc.syscall(number, command, room, 144)
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(found)
