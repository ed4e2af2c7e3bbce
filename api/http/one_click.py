"""One-click unsubscription (RFC 8058): one HTTPS request to an address that a sender chose.

The sender of a mail chooses the URL, so it must not lead into the networks of this service: every
address that the name resolves to is checked, and the connection is made to a checked address.
Redirects are not followed, no cookie is sent, and the response is not read. The request names
neither the user nor the message, unless the URL does.
Safe to repeat: the sender's server accepts a repeated request (RFC 8058 §3.1).
"""

import ipaddress
import ssl
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from mail.outbound_addresses import OutboundAddresses

BODY = b"List-Unsubscribe=One-Click"  # RFC 8058 §3.1
TIMEOUT_S = 10.0
AT_ONCE_MAX = 8
PORTS = frozenset({443})
_SUCCESS = range(200, 300)
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "Postriver"}


class UnsubscribeFailed(Exception):
    """The sender's server did not accept the request; the text is fit for the user."""


class OneClickClient:
    """Sends unsubscriptions to permitted addresses. Open it with `async with`.

    `ports` and `tls` are for tests; None: the certificates that the system trusts.
    """

    def __init__(
        self,
        outbound: OutboundAddresses,
        *,
        ports: frozenset[int] = PORTS,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._outbound = outbound
        self._ports = ports
        self._tls = tls
        self._resolver = resolver

    async def __aenter__(self) -> Self:
        looked_up = self._resolver or aiohttp.ThreadedResolver()
        connector = aiohttp.TCPConnector(
            limit=AT_ONCE_MAX,
            resolver=_PermittedResolver(looked_up, self._outbound),
            use_dns_cache=False,
            force_close=True,
            ssl=self._tls or True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            headers=_HEADERS,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def unsubscribe(self, url: str) -> None:
        """Send the request to `url`. Raises UnsubscribeFailed."""
        try:
            target = URL(url)
            port = target.port
        except ValueError:
            raise UnsubscribeFailed("The address in the mail is malformed.") from None
        if target.scheme != "https" or port not in self._ports or not self._may_be(target.host):
            raise UnsubscribeFailed("The address in the mail is not permitted.")
        try:
            async with self._session.post(target, data=BODY, allow_redirects=False) as response:
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            raise UnsubscribeFailed("The server of the sender cannot be reached.") from None
        if status not in _SUCCESS:
            raise UnsubscribeFailed(f"The server of the sender answered {status}.")

    def _may_be(self, host: str | None) -> bool:
        """Whether `host` is a name, or a permitted address, which is not resolved again."""
        try:
            address = str(ipaddress.ip_address(host or ""))
        except ValueError:
            return bool(host)
        return self._outbound.permits(address)


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
