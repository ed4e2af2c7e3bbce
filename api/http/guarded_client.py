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
from typing import Any, ClassVar, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from mail.outbound_addresses import OutboundAddresses

TIMEOUT_S = 10.0  # of a request, the body of its answer included
FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ValueError)  # of a request


class NotPermitted(Exception):
    """The URL is malformed, or may not be requested."""


class GuardedClient:
    """Requests to permitted addresses. Open it with `async with`. Bodies are not decompressed.

    A subclass says what it sends, and requests only what `checked` returns, without redirects: the
    session does not see literal addresses. `ports`, `tls` and `resolver` are for tests. `tls` None:
    the certificates that the system trusts; `resolver` None: that of the system.
    """

    schemes: ClassVar[Collection[str]]
    default_ports: ClassVar[Collection[int]]
    headers: ClassVar[Mapping[str, str]]
    at_once_max: ClassVar[int]

    def __init__(
        self,
        outbound: OutboundAddresses,
        *,
        timeout_s: float = TIMEOUT_S,
        ports: Collection[int] | None = None,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._outbound = outbound
        self._timeout_s = timeout_s
        self._ports = self.default_ports if ports is None else ports
        self._tls = tls
        self._resolver = resolver

    async def __aenter__(self) -> Self:
        resolver = self._resolver or aiohttp.ThreadedResolver()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self.at_once_max,
                resolver=_PermittedResolver(resolver, self._outbound),
                use_dns_cache=False,
                force_close=True,
                ssl=self._tls or True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            headers=self.headers,
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def checked(self, url: str | URL) -> URL:
        """Return `url` if it has a scheme and port of ours, no credentials and a permitted host.

        A name is a permitted host: the session checks its addresses. Raises NotPermitted.
        """
        try:
            target = URL(url)
            port = target.port
        except ValueError:
            raise NotPermitted("malformed") from None
        if target.scheme not in self.schemes or port not in self._ports:
            raise NotPermitted("scheme or port")
        if target.user is not None or target.password is not None:
            raise NotPermitted("credentials")
        if not _may_be(target.host, self._outbound):
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
