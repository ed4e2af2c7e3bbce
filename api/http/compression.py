"""Answers in gzip (RFC 9110 §8.4) where that saves something and the client can read it.

Mails and attachments go out as they are. What is compressed holds no secret beside what a stranger
may write into it: a token is told only in the answer to a sign-in, which is too short.
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
ACCEPT_MAX_CHARS = 256  # of Accept-Encoding; what stands behind is not read
_CODING = re.compile(r"([\w*-]+)(?:[ \t]*;[ \t]*q[ \t]*=[ \t]*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?\Z")


async def compress(request: web.Request, response: web.StreamResponse) -> None:
    """Before the answer is begun. Its entity tag stays: it stands for what is said in it."""
    if not isinstance(response, web.Response) or response.content_type not in TYPES:
        return
    body = response.body
    if not isinstance(body, bytes) or len(body) < LEAST_BYTES or response.prepared:
        return
    response.headers.add(hdrs.VARY, hdrs.ACCEPT_ENCODING)
    if not takes_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
        return
    if len(body) < OFF_LOOP_BYTES:
        response.body = _packed(body)
    else:
        response.body = await asyncio.to_thread(_packed, body)
    response.headers[hdrs.CONTENT_ENCODING] = "gzip"


def takes_gzip(header: str) -> bool:
    """Whether Accept-Encoding names gzip, or all, with another weight than 0.

    At most ACCEPT_MAX_CHARS are read, each element without the space around it: the expression
    tries each length of a run of space, so an unbounded run would cost quadratic time.
    """
    elements = header[:ACCEPT_MAX_CHARS].lower().split(",")
    found = [_CODING.match(one.strip()) for one in elements]
    weights = {one[1]: float(one[2] or 1) for one in found if one}
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, LEVEL, mtime=0)
