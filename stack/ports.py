"""Check of TCP ports before a start: a taken port is reported with its setting and its program."""

import errno
import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psutil


@dataclass(frozen=True, slots=True)
class ListenPort:
    """A TCP port to listen on, and the setting that chose it."""

    setting: str
    port: int
    host: str = "127.0.0.1"


class PortsTaken(Exception):
    """One line for each port that cannot be used."""


def check_ports(ports: Iterable[ListenPort]) -> None:
    """Raise PortsTaken if a program holds one of `ports`, or two settings name the same port."""
    listeners: dict[tuple[str, int], str] = {}
    problems = []
    for each in ports:
        other = listeners.setdefault((each.host, each.port), each.setting)
        if other != each.setting:
            problems.append(f"{each.setting}: port {each.port} is also {other}")
        elif problem := _problem(each):
            problems.append(problem)
    if problems:
        raise PortsTaken("\n".join(problems))


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free now, outside the range of outgoing connections."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        if _problem(ListenPort("", port, host)) is None:
            return port


def _problem(port: ListenPort) -> str | None:
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.port))
            # Binding alone succeeds while a listener allows reuse; listening does not.
            probe.listen(1)
        except PermissionError:
            return f"{port.setting}: port {port.port} needs more rights (below 1024)"
        except OSError as cause:
            why = _holder(port.port) or _reason(cause)
            return f"{port.setting}: port {port.port} on {port.host} {why}"
    return None


def listener(port: int) -> str | None:
    """Return the name of the program that listens on `port`, if its process is visible."""
    listens = (one for one in _connections(port) if one.status == psutil.CONN_LISTEN)
    return next((_name(one.pid) for one in listens if one.pid is not None), None)


def _holder(port: int) -> str | None:
    """Return the program that listens, else the owner of an outgoing connection, if visible."""
    found = sorted(_connections(port), key=lambda one: one.status != psutil.CONN_LISTEN)
    for connection in found:
        if connection.pid is not None:
            return f"is taken by {_name(connection.pid)} (pid {connection.pid})"
        if connection.status == psutil.CONN_LISTEN:
            return "is taken by a program of another user"
    return None


def _connections(port: int) -> list[Any]:
    """Return psutil's connections whose local port is `port`."""
    found = psutil.net_connections(kind="tcp")
    return [one for one in found if one.laddr and one.laddr.port == port]


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "a program"


def _reason(cause: OSError) -> str:
    """Return the reason; an ended connection may keep a port of the kernel's range for a minute."""
    if cause.errno != errno.EADDRINUSE:
        return f"cannot be had: {cause.strerror}"
    return "is in use by an outgoing or just ended connection; wait, or choose a port below 32768"
