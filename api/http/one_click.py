"""One-click unsubscription (RFC 8058): one HTTPS request to an address that a sender chose.

The guard of guarded_client.py keeps the request out of the networks of this service. Redirects are
not followed, no cookie is sent, and the response is not read. The request names neither the user
nor the message, unless the URL does.
Safe to repeat: the sender's server accepts a repeated request (RFC 8058 §3.1).
"""

from api.http.guarded_client import FAILURES, GuardedClient, NotPermitted

BODY = b"List-Unsubscribe=One-Click"  # RFC 8058 §3.1
_SUCCESS = range(200, 300)
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "Postriver"}


class UnsubscribeFailed(Exception):
    """The sender's server did not accept the request; the text is fit for the user."""


class OneClickClient(GuardedClient):
    """Sends unsubscriptions."""

    schemes = frozenset({"https"})
    default_ports = frozenset({443})
    headers = _HEADERS
    at_once_max = 8

    async def unsubscribe(self, url: str) -> None:
        """Send the request to `url`. Raises UnsubscribeFailed."""
        try:
            target = self.checked(url)
        except NotPermitted:
            raise UnsubscribeFailed("The address in the mail is not permitted.") from None
        try:
            async with self._session.post(target, data=BODY, allow_redirects=False) as response:
                status = response.status
        except FAILURES:
            raise UnsubscribeFailed("The server of the sender cannot be reached.") from None
        if status not in _SUCCESS:
            raise UnsubscribeFailed(f"The server of the sender answered {status}.")
