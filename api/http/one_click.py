"""One-click unsubscription (RFC 8058): one HTTPS request to an address that a sender chose.

The guard of guarded_session.py keeps the request out of the networks of this service. Redirects are
not followed, no cookie is sent, and the response is not read. The request names neither the user
nor the message, unless the URL does.
Safe to repeat: the sender's server accepts a repeated request (RFC 8058 §3.1).
"""

import ssl
from typing import Self

from aiohttp.abc import AbstractResolver

from api.http.guarded_session import FAILURES, NotPermitted, checked, guarded_session
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
        self._session = guarded_session(
            self._outbound,
            headers=_HEADERS,
            timeout_s=TIMEOUT_S,
            at_once_max=AT_ONCE_MAX,
            tls=self._tls,
            resolver=self._resolver,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def unsubscribe(self, url: str) -> None:
        """Send the request to `url`. Raises UnsubscribeFailed."""
        try:
            target = checked(url, self._outbound, schemes={"https"}, ports=self._ports)
        except NotPermitted:
            raise UnsubscribeFailed("The address in the mail is not permitted.") from None
        try:
            async with self._session.post(target, data=BODY, allow_redirects=False) as response:
                status = response.status
        except FAILURES:
            raise UnsubscribeFailed("The server of the sender cannot be reached.") from None
        if status not in _SUCCESS:
            raise UnsubscribeFailed(f"The server of the sender answered {status}.")
