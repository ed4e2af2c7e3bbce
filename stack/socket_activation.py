"""Socket activation: listening sockets that a service manager opened (sd_listen_fds(3)).

Ports below 1024 then need no privileges here, and connections wait in the kernel during a restart.
The supervisor keeps the sockets open and passes them to each new process of their program.
"""

import os
import socket
import stat
from collections.abc import Mapping

FIRST_FD = 3
NAMES = (
    "smtp",
    "http",
    "submission",
    "submissions",
    "pop3",
    "pop3s",
)  # FileDescriptorName= in the socket units


class BadHandover(Exception):
    """The sockets of the service manager cannot be used; the message says why."""


def handed_over(environ: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Return descriptors by name; empty without socket activation. Raises BadHandover."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = environ.get("LISTEN_FDS", "")
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    if not count.isascii() or not count.isdigit() or len(names) != int(count):
        raise BadHandover(f"LISTEN_FDS={count!r} does not fit LISTEN_FDNAMES={':'.join(names)!r}")
    found: dict[str, tuple[int, ...]] = {}
    for descriptor, name in enumerate(names, FIRST_FD):
        if name not in NAMES:
            raise BadHandover(
                f"a socket named {name!r}: FileDescriptorName= is {' or '.join(NAMES)}"
            )
        port_of(descriptor)
        found[name] = (*found.get(name, ()), descriptor)
    return found


def port_of(descriptor: int) -> int:
    """Return the TCP port of a listening socket. Raises BadHandover."""
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
