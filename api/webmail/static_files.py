"""Routes of the webmail: the page at its addresses, its files below /web/HASH/, its worker."""

import hashlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path

from aiohttp import hdrs, web

from api.http.compression import accepts_gzip
from api.http.security_headers import WORKER_CSP, page_csp
from api.problems import Problem, not_found
from api.webmail.file_tree import (
    ADMIN_FOLDER,
    FileTree,
    StaticFile,
    WebmailNotInstalled,
    read_tree,
)

log = logging.getLogger("postriver.api")
PAGES = (  # the addresses of the page's router.js
    "/",
    "/mail/{tail:.*}",
    "/search",
    "/search/{tail:.*}",
    "/compose",
    "/compose/{tail:.*}",
    "/settings",
    "/settings/{tail:.*}",
)
ADMIN_PAGES = ("/admin", "/admin/{tail:.*}")
FILES = "/web/{version}/{name:.+}"
WORKER = "/sw.js"  # its directory is what it may answer for
ROUTES = frozenset(  # as registered
    re.sub(r":[^}]+", "", path) for path in (*PAGES, *ADMIN_PAGES, FILES, WORKER)
)
WORDS = re.compile(r"words\.([a-z]{2})\.json")
FOREVER = "public, max-age=31536000, immutable"


def add_static_files(app: web.Application, vendor: Path, *, admin: bool) -> None:
    """Serve the webmail with the libraries in `vendor`; without them its page is 503.

    `admin`: with the page of operators.
    """
    webmail = Webmail(_tree(vendor, admin=admin))
    for path in (*PAGES, *(ADMIN_PAGES if admin else ())):
        app.router.add_get(path, webmail.page)
    app.router.add_get(FILES, webmail.file)
    app.router.add_get(WORKER, webmail.worker)


def _tree(vendor: Path, *, admin: bool) -> FileTree | None:
    try:
        return read_tree(vendor, without="" if admin else ADMIN_FOLDER)
    except WebmailNotInstalled as error:
        log.warning("the webmail is not installed: %s; `make run` fetches what it needs", error)
        return None


class Webmail:
    """Handlers of one tree of files; None: the webmail is not installed."""

    def __init__(self, tree: FileTree | None) -> None:
        self._tree = tree
        self._words = _words_of(tree) if tree else {}
        self._etag = f'"{hashlib.sha256(tree.index.body).hexdigest()[:32]}"' if tree else ""

    async def page(self, request: web.Request) -> web.StreamResponse:
        """The page, or 304 (RFC 9110 §15.4.5): its entity tag is of the uncompressed body."""
        tree = self._installed()
        words = _words_for(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""), self._words)
        headers = {
            hdrs.CACHE_CONTROL: "no-cache",
            hdrs.ETAG: self._etag,
            hdrs.LINK: f"</web/{tree.version}/{words}>; rel=preload; as=fetch; crossorigin",
            "Content-Security-Policy": page_csp(tree.style_sha256),
        }
        if request.headers.get(hdrs.IF_NONE_MATCH) == self._etag:
            return web.Response(status=304, headers=headers)
        return _response(request, tree.index, headers)

    async def worker(self, request: web.Request) -> web.StreamResponse:
        """The service worker. Its own policy lets it ask this service and run nothing else."""
        headers = {hdrs.CACHE_CONTROL: "no-cache", "Content-Security-Policy": WORKER_CSP}
        return _response(request, self._installed().worker, headers)

    def _installed(self) -> FileTree:
        if self._tree is None:
            raise Problem(503, "unavailable", "The webmail is not installed; see the log.")
        return self._tree

    async def file(self, request: web.Request) -> web.StreamResponse:
        """A file of this version. Raises Problem 404: another version, or no such file."""
        tree, info = self._tree, request.match_info
        file = tree.files.get(info["name"]) if tree and info["version"] == tree.version else None
        if file is None:
            raise not_found()
        return _response(request, file, {hdrs.CACHE_CONTROL: FOREVER})


def _words_of(tree: FileTree) -> dict[str, str]:
    """The name of the file with the words of the first screen, by language."""
    return {found[1]: name for name in tree.files if (found := WORDS.fullmatch(name))}


def _words_for(accept_language: str, known: Mapping[str, str]) -> str:
    """The words that the page probably asks for: those of the browser's first known language."""
    tags = (part.strip()[:2].lower() for part in accept_language.split(","))
    return next((known[tag] for tag in tags if tag in known), known["en"])


def _response(request: web.Request, file: StaticFile, headers: dict[str, str]) -> web.Response:
    headers = {**headers, hdrs.CONTENT_TYPE: file.content_type}
    if file.packed is None:
        return web.Response(body=file.body, headers=headers)
    headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
    if not accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
        return web.Response(body=file.body, headers=headers)
    headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(body=file.packed, headers=headers)
