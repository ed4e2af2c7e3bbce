"""A taken port is named before anything starts, with its setting and the program that holds it."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Port:
    """A TCP port we are about to listen on, and the setting that chose it."""

    setting: str
    port: int
    host: str = "127.0.0.1"


class PortsTaken(Exception):
    """One line per port that cannot be had."""


def check_ports(ports: Iterable[Port]) -> None:
    """PortsTaken when any of `ports` is held by a program or wanted by two settings."""
    wanted: dict[tuple[str, int], str] = {}
    problems = []
    for each in ports:
        other = wanted.setdefault((each.host, each.port), each.setting)
        if other != each.setting:
            problems.append(f"{each.setting}: port {each.port} is also {other}")
        elif problem := _problem(each):
            problems.append(problem)
    if problems:
        raise PortsTaken("\n".join(problems))


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _problem(port: Port) -> str | None:
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.port))
            # Binding alone succeeds beside a listener that allows reuse; listening does not.
            probe.listen(1)
        except PermissionError:
            return f"{port.setting}: port {port.port} needs more rights (below 1024)"
        except OSError as cause:
            holder = _holder(port.port)
            why = f"is taken by {holder}" if holder else f"cannot be had: {cause.strerror}"
            return f"{port.setting}: port {port.port} on {port.host} {why}"
    return None


def _holder(port: int) -> str | None:
    """Name and pid of the listener, where the kernel lets us see them."""
    for connection in psutil.net_connections(kind="tcp"):
        address = connection.laddr
        if connection.status != psutil.CONN_LISTEN or not address or address.port != port:
            continue
        if connection.pid is None:
            return "a program of another user"
        try:
            return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
        except psutil.Error:
            return f"pid {connection.pid}"
    return None
