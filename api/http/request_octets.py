"""Request bodies that are files: read in pieces, within a limit of the route and a least rate.

aiohttp's own limit (`client_max_size`) is for bodies that are read whole, such as JSON.
"""

import asyncio

from aiohttp import web

from api.config import ApiConfig
from api.problems import Problem


def announced_bytes(request: web.Request, *, max_bytes: int) -> int:
    """The size of the body by Content-Length; `max_bytes` if it is not known yet.

    Raises Problem 413: it is above `max_bytes`.
    """
    size_bytes = request.content_length
    if size_bytes is not None and size_bytes > max_bytes:
        raise too_large(max_bytes)
    return max_bytes if size_bytes is None else size_bytes


async def read_octets(request: web.Request, config: ApiConfig, *, max_bytes: int) -> bytes:
    """The body. Takes its size in memory, and twice its size at the end.

    Raises Problem 413: it is above `max_bytes`; 408: its client sends less than
    `upload_least_bytes_per_s` and is `upload_stall_s` late.
    """
    clock = asyncio.get_running_loop().time
    began_s, size_bytes, pieces = clock(), 0, list[bytes]()
    while True:
        late_s = began_s + config.upload_stall_s + size_bytes / config.upload_least_bytes_per_s
        try:
            async with asyncio.timeout_at(late_s):
                piece = await request.content.readany()
        except TimeoutError:
            raise Problem(408, "timeout", "The body did not come in time.") from None
        if not piece:
            return b"".join(pieces)
        size_bytes += len(piece)
        if size_bytes > max_bytes:
            raise too_large(max_bytes)
        pieces.append(piece)


def too_large(max_bytes: int) -> Problem:
    return Problem(413, "too_large", f"At most {max_bytes} octets.")
