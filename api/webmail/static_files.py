"""Static files of the webmail, read once at start."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import hdrs, web

from api.http.security_headers import PAGE_CSP

_FOLDER = Path(__file__).parent / "assets"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
# The frame of a mail has an opaque origin and may load this style sheet only.
_CROSS_ORIGIN_FILES = {"mail.css"}
FILES = {
    "/": "index.html",
    "/web/app.js": "app.js",
    "/web/actions.js": "actions.js",
    "/web/client.js": "client.js",
    "/web/view.js": "view.js",
    "/web/style.css": "style.css",
    "/web/mail.css": "mail.css",
    "/favicon.svg": "favicon.svg",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file with an entity tag (RFC 9110 §8.8.3)."""

    body: bytes
    headers: dict[str, str]

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get(hdrs.IF_NONE_MATCH) == self.headers[hdrs.ETAG]:
            return web.Response(status=304, headers=self.headers)
        return web.Response(body=self.body, headers=self.headers)


def load(name: str) -> StaticFile:
    body = (_FOLDER / name).read_bytes()
    headers = {
        hdrs.CONTENT_TYPE: _TYPES[Path(name).suffix],
        hdrs.CACHE_CONTROL: "no-cache",
        hdrs.ETAG: f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        "Content-Security-Policy": PAGE_CSP,
    }
    if name in _CROSS_ORIGIN_FILES:
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return StaticFile(body, headers)


def add_static_files(app: web.Application) -> None:
    for path, name in FILES.items():
        app.router.add_get(path, load(name).respond)
