"""Address and scheme of the client, from the connection or from a trusted proxy's header.

Read the header from right to left, skip trusted proxies and take the first other address: a proxy
appends the address that it saw, and entries further left can be forged. Only the header that the
setting names is read, since a proxy forwards the other one unchecked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import hdrs, web

from api.config import ApiConfig
from edge.sign_in.login_client import LoginClient, clean_user_agent
from edge.trusted_networks import Networks, plain_address

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PAIR = rf"\s*({_NAME})=({_NAME}|{_QUOTED})\s*"
_ELEMENT = re.compile(rf"(?:{_PAIR})?(?:;(?:{_PAIR})?)*\Z")
_PAIRS = re.compile(_PAIR)
_ELEMENTS = re.compile(rf'(?:[^",]|{_QUOTED})+')
_FORWARDED_MAX_CHARS = 2048  # from the end; earlier elements can be forged anyway
_ADDRESS = re.compile(r"\[(?P<ipv6>[^\]]*)\](?::\d{1,5})?|(?P<ipv4>[0-9.]+)(?::\d{1,5})?")


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """`address` is "" on a unix socket; `https`: the client uses TLS, to us or to our proxy."""

    address: str
    https: bool
    proxied: bool = False  # by a trusted proxy, which may send other clients' requests too


CLIENT = web.RequestKey("client", ClientAddress)


def login_client(request: web.Request, *, device: str = "") -> LoginClient:
    """The client of `request` as the authenticator counts it."""
    return LoginClient(
        protocol="http",
        peer=request[CLIENT].address,
        user_agent=clean_user_agent(request.headers.get(hdrs.USER_AGENT, "")),
        device=device,
    )


def client_of(request: web.Request, config: ApiConfig) -> ClientAddress:
    """The client of `request`; the proxy itself if its header is missing or malformed."""
    remote = plain_address(request.remote or "") or ""
    https = request.secure or config.secure_cookies
    if remote not in config.proxies:
        return ClientAddress(remote, https)
    if config.proxy_header == "forwarded":
        elements = list(_forwarded(request.headers.getall("Forwarded", [])))
        addresses = [element.get("for", "") for element in elements]
        scheme = elements[-1].get("proto", "") if elements else ""
    else:
        addresses = _comma_list(request.headers.getall("X-Forwarded-For", []))
        scheme = (_comma_list(request.headers.getall("X-Forwarded-Proto", [])) or [""])[-1]
    client = _first_untrusted(remote, addresses, config.proxies)
    return ClientAddress(client, https or scheme.lower() == "https", proxied=client != remote)


def _first_untrusted(remote: str, addresses: list[str], trusted: Networks) -> str:
    client = remote
    for text in reversed(addresses):
        if client not in trusted:
            break
        address = _address(text)
        if address is None:  # `unknown` or a name of the proxy's own (RFC 7239 §6.3)
            break
        client = address
    return client


def _address(text: str) -> str | None:
    """Parse an address with or without brackets and port; None if malformed."""
    match = _ADDRESS.fullmatch(text)
    return plain_address((match["ipv6"] or match["ipv4"]) if match else text)


def _comma_list(lines: list[str]) -> list[str]:
    return [item.strip() for item in ",".join(lines).split(",")] if lines else []


def _forwarded(lines: list[str]) -> Iterator[dict[str, str]]:
    """Parameters of each element (RFC 7239 §4), by lower-case name; {} for a malformed element."""
    for element in _ELEMENTS.findall(",".join(lines)[-_FORWARDED_MAX_CHARS:]):
        if not _ELEMENT.match(element):
            yield {}
            continue
        yield {name.lower(): _unquoted(value) for name, value in _PAIRS.findall(element)}


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
