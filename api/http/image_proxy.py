"""Image proxy: fetches the remote images of a mail, so that its sender does not see the reader.

The sender chooses the URL. The guard of guarded_client.py keeps each request out of the networks
of this service, and each redirect is checked as the URL was. The request has one user agent for all
users and no cookie, no credentials and no referrer. The type is that of the first octets; what
the server says of it is ignored. SVG and HTML, which can carry scripts, are no images.
"""

import asyncio

import aiohttp
import msgspec
from aiohttp import hdrs
from yarl import URL

from api.http.guarded_client import FAILURES, GuardedClient, NotPermitted
from mail.mime.passive_types import image_type_of

SIZE_MAX_BYTES = 5 * 1024 * 1024
REDIRECTS_MAX = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200
_HEADERS = {
    "User-Agent": "Postriver",
    "Accept": "image/avif,image/webp,image/png,image/jpeg,image/gif",
    "Accept-Encoding": "identity",
}


class ImageFailed(Exception):
    """The image is not available; the text is fit for the user."""


class RemoteImage(msgspec.Struct, frozen=True):
    content_type: str
    octets: bytes


class ImageProxy(GuardedClient):
    """Fetches images. Its time limit is that of an image, redirects included."""

    schemes = frozenset({"http", "https"})
    default_ports = frozenset({80, 443})
    headers = _HEADERS
    at_once_max = 8

    async def fetch(self, url: str) -> RemoteImage:
        """Return the image at `url`, after at most REDIRECTS_MAX redirects. Raises ImageFailed."""
        try:
            async with asyncio.timeout(self._timeout_s):
                octets = await self._follow(url)
        except NotPermitted:
            raise ImageFailed("The address of the image is not permitted.") from None
        except FAILURES:
            raise ImageFailed("The server of the image cannot be reached.") from None
        content_type = image_type_of(octets)
        if content_type is None:
            raise ImageFailed("The server of the image sent no image.")
        return RemoteImage(content_type, octets)

    async def _follow(self, url: str | URL) -> bytes:
        """Raises NotPermitted, ImageFailed, one of FAILURES."""
        for _ in range(1 + REDIRECTS_MAX):
            target = self.checked(url)
            async with self._session.get(target, allow_redirects=False) as response:
                if response.status == _OK:
                    return await _body(response)
                location = response.headers.get(hdrs.LOCATION)
                if response.status not in _REDIRECTS or location is None:
                    raise ImageFailed(f"The server of the image answered {response.status}.")
            url = target.join(URL(location))
        raise ImageFailed("The server of the image sent too many redirects.")


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Raises ImageFailed: beyond SIZE_MAX_BYTES, by its header or by what has come."""
    body = bytearray()
    if (response.content_length or 0) <= SIZE_MAX_BYTES:
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > SIZE_MAX_BYTES:
                break
        else:
            return bytes(body)
    raise ImageFailed("The image is too large.")
