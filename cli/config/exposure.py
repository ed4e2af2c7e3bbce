"""Detect HTTP without TLS beyond the loopback: passwords would cross a network in clear.

`up` refuses such a configuration and `doctor` reports it as a problem, unless
POSTRIVER_HTTP_IN_CLEAR=yes. Reasons: docs/decisions/0036-no-plain-http-beyond-the-loopback.md.
"""

import ipaddress
import os
import socket
from contextlib import closing

from cli.config.config import Config
from mail.errors import Refused

REMEDY = (
    "set POSTRIVER_HTTPS=yes, or POSTRIVER_HTTP_PROXIES to the proxy that speaks HTTPS; "
    "POSTRIVER_HTTP_IN_CLEAR=yes if passwords may be read on the way"
)


def in_clear_at(config: Config) -> list[str]:
    """Return the addresses beyond the loopback with HTTP in clear; [] if that is allowed.

    With a trusted proxy or POSTRIVER_SECURE_COOKIES=yes, clients are taken to use HTTPS.
    """
    by_proxy = bool(config.http_proxies.networks) or config.secure_cookies == "yes"
    if config.https or by_proxy or config.http_in_clear:
        return []
    return [address for address in _addresses(config) if not _is_local(address)]


def refuse_in_clear(config: Config) -> None:
    """Raises Refused: passwords would cross a network in clear."""
    if addresses := in_clear_at(config):
        raise Refused(f"HTTP in clear at {', '.join(addresses)}: {REMEDY}")


def _addresses(config: Config) -> list[str]:
    return [_address_of(descriptor) for descriptor in config.http_fds] or [config.bind]


def _address_of(descriptor: int) -> str:
    """Return the address of a passed socket; "" for a unix socket, which is local."""
    with closing(socket.socket(fileno=os.dup(descriptor))) as listening:
        name = listening.getsockname()
    return str(name[0]) if isinstance(name, tuple) else ""


def _is_local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return address in {"", "localhost"}
