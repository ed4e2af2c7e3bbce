"""Compress responses by gzip (RFC 9110 §8.4) where it saves space and the client accepts it.

Raw mails and attachments are not compressed. No compressed response mixes a secret with text that
an attacker can write (BREACH): only the login response has a token, and it is below LEAST_BYTES.
"""

import asyncio
import gzip
import re

from aiohttp import hdrs, web

LEAST_BYTES = 1024
OFF_LOOP_BYTES = 64 * 1024  # about 2 ms
LEVEL = 5
TYPES = {
    "application/json", "application/problem+json", "text/html", "text/css", "text/javascript",
    "image/svg+xml",
}  # fmt: skip
ACCEPT_MAX_CHARS = 256  # of Accept-Encoding; the rest is ignored
_CODING = re.compile(r"([\w*-]+)(?:[ \t]*;[ \t]*q[ \t]*=[ \t]*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?\Z")


async def compress(request: web.Request, response: web.StreamResponse) -> None:
    """Compress an unsent response. Its entity tag stays: it identifies the uncompressed body."""
    if not isinstance(response, web.Response) or response.content_type not in TYPES:
        return
    body = response.body
    if hdrs.CONTENT_ENCODING in response.headers or hdrs.VARY in response.headers:
        return  # files of the webmail are packed at start
    if not isinstance(body, bytes) or len(body) < LEAST_BYTES or response.prepared:
        return
    response.headers.add(hdrs.VARY, hdrs.ACCEPT_ENCODING)
    if not accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
        return
    if len(body) < OFF_LOOP_BYTES:
        response.body = _gzip(body)
    else:
        response.body = await asyncio.to_thread(_gzip, body)
    response.headers[hdrs.CONTENT_ENCODING] = "gzip"


def accepts_gzip(header: str) -> bool:
    """Whether Accept-Encoding lists gzip or `*` with a weight above 0.

    At most ACCEPT_MAX_CHARS are read, and elements are stripped: the expression backtracks over
    each length of a run of space, so an unbounded run would cost quadratic time.
    """
    elements = header[:ACCEPT_MAX_CHARS].lower().split(",")
    matches = [_CODING.match(element.strip()) for element in elements]
    weights = {match[1]: float(match[2] or 1) for match in matches if match}
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, LEVEL, mtime=0)
