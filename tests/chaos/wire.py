"""Fault "cut off": the packets of one TCP port are dropped, as by a firewall or a pulled cable.

Clients get no answer and no reset, the hardest case for them. A BPF filter of thirteen instructions
at the root of the control groups drops all packets from and to the port. The filter is bound to
this process, and removed by the kernel when the process ends. Needs root, cgroup2 and BPF.
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
_SOURCE_PORT, _TARGET_PORT = 20, 22  # offsets after an IPv4 header without options
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def blocked_port(port: int) -> Iterator[None]:
    """Drop all packets from and to the TCP port within the block. Raises OSError: not possible."""
    with ExitStack() as links:
        group = os.open(_cgroup_root(), os.O_RDONLY)
        links.callback(os.close, group)
        for direction in _DIRECTIONS:
            program = _load(_drop_program(port), direction)
            links.callback(os.close, program)
            link = _bpf(_LINK_CREATE, struct.pack("<IIII", program, group, direction, 0))
            links.callback(os.close, link)
        yield


@cache
def why_not() -> str | None:
    """Return the reason why a port cannot be cut off on this machine; None: it can."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        try:
            with blocked_port(listener.getsockname()[1]), suppress(TimeoutError):
                socket.create_connection(listener.getsockname(), timeout=0.3).close()
                return "the filter lets packets pass"
        except OSError as error:
            return f"no packet filter by BPF ({error})"
    return None


def _cgroup_root() -> Path:
    """Return the mount point of cgroup2."""
    for line in Path("/proc/mounts").read_text().splitlines():
        if line.split()[2] == "cgroup2":
            return Path(line.split()[1])
    raise OSError("cgroup2 is not mounted")


def _drop_program(port: int) -> bytes:
    """Return a BPF program: `return 0` for a packet from or to `port`, else `return 1`."""
    wire_port = socket.htons(port)
    return b"".join(
        (
            _instruction(0x61, to=2, source=1, offset=_SKB_DATA),
            _instruction(0x61, to=3, source=1, offset=_SKB_DATA_END),
            _instruction(0xBF, to=4, source=2),
            _instruction(0x07, to=4, value=_TARGET_PORT + 2),
            _instruction(0x2D, to=4, source=3, offset=4),  # too short for ports: pass
            _instruction(0x69, to=5, source=2, offset=_SOURCE_PORT),
            _instruction(0x15, to=5, offset=4, value=wire_port),
            _instruction(0x69, to=5, source=2, offset=_TARGET_PORT),
            _instruction(0x15, to=5, offset=2, value=wire_port),
            _instruction(0xB7, to=0, value=1),
            _instruction(0x95),
            _instruction(0xB7, to=0, value=0),
            _instruction(0x95),
        )
    )


def _instruction(
    code: int, *, to: int = 0, source: int = 0, offset: int = 0, value: int = 0
) -> bytes:
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


def _bpf(command: int, attributes: bytes) -> int:
    """Call bpf(2) and return the new descriptor."""
    number = _BPF_CALL.get(os.uname().machine)
    if number is None:
        raise OSError(f"no number of bpf() known for {os.uname().machine}")
    buffer = ctypes.create_string_buffer(attributes.ljust(144, b"\0"), 144)
    descriptor = _libc.syscall(number, command, buffer, 144)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(descriptor)
