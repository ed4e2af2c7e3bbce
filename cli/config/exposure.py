"""Whether passwords would cross a network in clear: HTTP beyond the loopback, without TLS.

`up` refuses that, and `doctor` calls it a problem, unless POSTRIVER_HTTP_IN_CLEAR=yes says so.
docs/decisions/0036-no-plain-http-beyond-the-loopback.md has the reasons.
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
    """Addresses beyond the loopback where HTTP would be served in clear; none when it may be.

    A trusted proxy, or POSTRIVER_SECURE_COOKIES=yes, says that clients come by HTTPS.
    """
    by_proxy = bool(config.http_proxies.networks) or config.secure_cookies == "yes"
    if config.https or by_proxy or config.http_in_clear:
        return []
    return [each for each in _addresses(config) if not _is_local(each)]


def refuse_in_clear(config: Config) -> None:
    """Refused: passwords would cross a network in clear."""
    if found := in_clear_at(config):
        raise Refused(f"HTTP in clear at {', '.join(found)}: {REMEDY}")


def _addresses(config: Config) -> list[str]:
    return [_listens_at(each) for each in config.http_fds] or [config.bind]


def _listens_at(descriptor: int) -> str:
    """The address of a socket that was handed to us; "" for a unix socket, which is local."""
    with closing(socket.socket(fileno=os.dup(descriptor))) as handed:
        name = handed.getsockname()
    return str(name[0]) if isinstance(name, tuple) else ""


def _is_local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return address in {"", "localhost"}
