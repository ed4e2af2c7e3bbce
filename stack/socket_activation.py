"""Listening sockets that a service manager opened for us (sd_listen_fds(3)).

So ports below 1024 need no rights of ours, and connections wait in the kernel while we restart.
They stay open in the supervisor, which passes them on to every life of the process they belong to.
"""

import os
import socket
import stat
from collections.abc import Mapping

FIRST_FD = 3
NAMES = ("smtp", "http")  # FileDescriptorName= in the socket units


class BadHandover(Exception):
    """What was handed over cannot be used; the message says why."""


def handed_over(environ: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Descriptors by name; empty when nothing was handed to this process. BadHandover."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = environ.get("LISTEN_FDS", "")
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    if not count.isascii() or not count.isdigit() or len(names) != int(count):
        raise BadHandover(f"LISTEN_FDS={count!r} does not fit LISTEN_FDNAMES={':'.join(names)!r}")
    found: dict[str, tuple[int, ...]] = {}
    for descriptor, name in enumerate(names, FIRST_FD):
        if name not in NAMES:
            raise BadHandover(f"a socket named {name!r}: FileDescriptorName= is smtp or http")
        port_of(descriptor)
        found[name] = (*found.get(name, ()), descriptor)
    return found


def port_of(descriptor: int) -> int:
    """The TCP port of a listening socket. BadHandover."""
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise BadHandover(f"descriptor {descriptor} is no socket")
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            listens = copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if copy.family not in {socket.AF_INET, socket.AF_INET6} or not listens:
                raise BadHandover(f"descriptor {descriptor} is no listening TCP socket")
            return int(copy.getsockname()[1])
    except OSError as error:
        raise BadHandover(f"descriptor {descriptor}: {error.strerror}") from error
