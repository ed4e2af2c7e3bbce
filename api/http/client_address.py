"""Who asks, and by which scheme: the connection's word, or that of a proxy we trust.

A proxy appends the address that it saw to what the client sent. So the list is read from its end,
over our own proxies, to the first address that is none of them: what stands before it is hearsay.
Only one kind of header is read (a setting), as a proxy passes on the other kind unread.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import hdrs, web

from api.config import ApiConfig
from edge.authenticator import LoginClient, clean_user_agent
from edge.trusted_networks import Networks, plain_address

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PAIR = rf"\s*({_WORD})=({_WORD}|{_QUOTED})\s*"
_ELEMENT = re.compile(rf"(?:{_PAIR})?(?:;(?:{_PAIR})?)*\Z")
_PAIRS = re.compile(_PAIR)
_ELEMENTS = re.compile(rf'(?:[^",]|{_QUOTED})+')
_FORWARDED_MAX_CHARS = 2048  # counted from the end; what is left out is hearsay
_ADDRESS = re.compile(r"\[(?P<ipv6>[^\]]*)\](?::\d{1,5})?|(?P<ipv4>[0-9.]+)(?::\d{1,5})?")


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """`address` is "" on a unix socket; `https`: between the client and the first of our side."""

    address: str
    https: bool
    proxied: bool = False  # a trusted proxy brings the request, and perhaps others' by the same way


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
    """Never fails: a proxy that says nothing readable is taken for the client."""
    remote = plain_address(request.remote or "") or ""
    https = request.secure or config.secure_cookies
    if remote not in config.proxies:
        return ClientAddress(remote, https)
    if config.proxy_header == "forwarded":
        elements = list(_forwarded(request.headers.getall("Forwarded", [])))
        addresses = [element.get("for", "") for element in elements]
        scheme = elements[-1].get("proto", "") if elements else ""
    else:
        addresses = _words(request.headers.getall("X-Forwarded-For", []))
        scheme = (_words(request.headers.getall("X-Forwarded-Proto", [])) or [""])[-1]
    client = _first_stranger(remote, addresses, config.proxies)
    return ClientAddress(client, https or scheme.lower() == "https", proxied=client != remote)


def _first_stranger(remote: str, addresses: list[str], trusted: Networks) -> str:
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
    """An address with or without brackets and port, as proxies write them."""
    found = _ADDRESS.fullmatch(text)
    return plain_address((found["ipv6"] or found["ipv4"]) if found else text)


def _words(lines: list[str]) -> list[str]:
    return [word.strip() for word in ",".join(lines).split(",")] if lines else []


def _forwarded(lines: list[str]) -> Iterator[dict[str, str]]:
    """Elements of RFC 7239 §4, parameters by lower-case name; {} for one that cannot be read."""
    for element in _ELEMENTS.findall(",".join(lines)[-_FORWARDED_MAX_CHARS:]):
        if not _ELEMENT.match(element):
            yield {}
            continue
        yield {name.lower(): _unquoted(value) for name, value in _PAIRS.findall(element)}


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
