"""HTTP to addresses that senders of mail choose: the guard of every such request.

The sender of a mail chooses the URL, so it must not lead into the networks of this service. A
literal address is checked; a name is resolved once, and the connection is made to a permitted
address of this answer, so that a second answer of the name has no effect. Redirects are for the
caller, which checks each URL again. No cookie, no credentials and no referrer is sent, and proxies
of the environment are not used.
"""

import ipaddress
import ssl
from collections.abc import Collection, Mapping
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from mail.outbound_addresses import OutboundAddresses

FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ValueError)  # of a request


class NotPermitted(Exception):
    """The URL is malformed, or may not be requested."""


def guarded_session(
    outbound: OutboundAddresses,
    *,
    headers: Mapping[str, str],
    timeout_s: float,
    at_once_max: int,
    tls: ssl.SSLContext | None = None,
    resolver: AbstractResolver | None = None,
) -> aiohttp.ClientSession:
    """A session that connects to addresses only that `outbound` permits.

    Bodies are not decompressed. `tls`: None: the certificates that the system trusts. `resolver`:
    None: that of the system. Request only what `checked` returns, without redirects: the session
    does not see literal addresses.
    """
    connector = aiohttp.TCPConnector(
        limit=at_once_max,
        resolver=_PermittedResolver(resolver or aiohttp.ThreadedResolver(), outbound),
        use_dns_cache=False,
        force_close=True,
        ssl=tls or True,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        headers=headers,
        auto_decompress=False,
    )


def checked(
    url: str | URL,
    outbound: OutboundAddresses,
    *,
    schemes: Collection[str],
    ports: Collection[int],
) -> URL:
    """Return `url` if it has one of `schemes` and `ports`, no credentials and a permitted host.

    A name is a permitted host: the session checks its addresses. Raises NotPermitted.
    """
    try:
        target = URL(url)
        port = target.port
    except ValueError:
        raise NotPermitted("malformed") from None
    if target.scheme not in schemes or port not in ports:
        raise NotPermitted("scheme or port")
    if target.user is not None or target.password is not None:
        raise NotPermitted("credentials")
    if not _may_be(target.host, outbound):
        raise NotPermitted("host")
    return target


def _may_be(host: str | None, outbound: OutboundAddresses) -> bool:
    """Whether `host` is a name, or a permitted address, which is not resolved again.

    Digits and dots that are no address in its usual form may be one all the same (`127.1`).
    """
    try:
        address = str(ipaddress.ip_address(host or ""))
    except ValueError:
        return bool(host) and not str(host).replace(".", "").isdigit()
    return outbound.permits(address)


class _PermittedResolver(AbstractResolver):
    """Returns only permitted addresses of a name. Raises OSError: it has none."""

    def __init__(self, resolver: AbstractResolver, outbound: OutboundAddresses) -> None:
        self._resolver = resolver
        self._outbound = outbound

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        permitted = [one for one in found if self._outbound.permits(one["host"])]
        if not permitted:
            raise OSError(None, "the name has no permitted address")
        return permitted

    async def close(self) -> None:
        await self._resolver.close()
