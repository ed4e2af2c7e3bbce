"""Bytes out: raw messages and attachments, never shown by a browser as part of our site."""

import re
import unicodedata
from collections.abc import AsyncIterator
from urllib.parse import quote

from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.http.paced_response import send, whole
from api.http.security_headers import SANDBOX_CSP
from api.problems import not_found
from api.rest.conditional_requests import not_modified
from api.rest.message import row_of
from api.rest.message_parsing import attached
from api.rest.parameters import number_of, query
from schemas.mail import PARTS
from schemas.mailbox import Message

PIECE_BYTES = 256 * 1024  # read from the store at once
FILENAME_MAX_CHARS = 120
ACTIVE = "application/octet-stream"
# Types that no browser runs anything of; SVG, HTML and XML are not among them.
HARMLESS = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/pdf"}
)
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Cf has the marks that turn text round


async def raw(call: AuthenticatedRequest) -> web.StreamResponse:
    """The message as it is kept: our trace header, then the bytes as accepted."""
    query(call.request)
    row = await row_of(call)
    tag = f'"{row.content.sha256}"'
    unchanged = not_modified(call.request, tag)
    if unchanged is not None:
        return unchanged
    with call.edge.downloads.slot(call.user_id, PIECE_BYTES):
        size_bytes, pieces = row.content.size_bytes, _pieces(call, row)
        return await _send(call, pieces, size_bytes, "message/rfc822", f"{row.mail_id}.eml", tag)


async def attachment(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    n = number_of(call.request)
    row = await row_of(call)
    if PARTS in row.verdict.unchecked:  # no scanner saw it as it would be handed out
        raise not_found()
    tag = f'"{row.content.sha256}.{n}"'
    unchanged = not_modified(call.request, tag)
    if unchanged is not None:
        return unchanged
    with call.edge.downloads.slot(call.user_id, row.content.size_bytes):
        part, data = await attached(call.edge, row, n)
        kind = part.content_type.lower()
        kind = kind if kind in HARMLESS else ACTIVE
        name = safe_filename(part.filename, f"attachment-{n}")
        return await _send(call, whole(data), len(data), kind, name, tag)


async def _pieces(call: AuthenticatedRequest, row: Message) -> AsyncIterator[bytes]:
    """The content, piece by piece from the store: a whole one would wait in memory."""
    ref, size_bytes = row.content.ref, row.content.size_bytes
    for start in range(0, size_bytes, PIECE_BYTES):
        size = min(PIECE_BYTES, size_bytes - start)
        yield await call.edge.ports.contents.part(ref, start=start, size_bytes=size)


async def _send(
    call: AuthenticatedRequest,
    pieces: AsyncIterator[bytes],
    size_bytes: int,
    content_type: str,
    filename: str,
    tag: str,
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: content_type,
            hdrs.CONTENT_LENGTH: str(size_bytes),
            hdrs.CONTENT_DISPOSITION: disposition(filename),
            hdrs.ETAG: tag,
            "Content-Security-Policy": SANDBOX_CSP,
        }
    )
    return await send(call.request, response, pieces, call.edge.config)


def safe_filename(filename: str, otherwise: str) -> str:
    """The last part of a path, of printable characters, not hidden, with its extension kept."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", filename))[-1]
    clean = "".join(c for c in last if unicodedata.category(c) not in _UNPRINTABLE)
    clean = clean.strip().lstrip(".").strip()
    stem, dot, extension = clean.rpartition(".")
    if dot and len(extension) <= 16:
        clean = f"{stem[: FILENAME_MAX_CHARS - len(extension) - 1]}.{extension}"
    return clean[:FILENAME_MAX_CHARS] or otherwise


def disposition(filename: str) -> str:
    """RFC 6266 §4.3: plain ASCII for old clients, and the name itself as RFC 8187 has it."""
    plain = re.sub(r"[^A-Za-z0-9 ._()+,=@-]", "_", filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
