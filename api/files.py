"""Bytes out: raw messages and attachments, never shown by a browser as part of our site."""

import asyncio
import re
import unicodedata
from urllib.parse import quote

from aiohttp import hdrs, web

from api.conditions import not_modified
from api.edge import SignedCall
from api.headers import SANDBOX_CSP
from api.inputs import number_of, query
from api.reading import row_of
from mail.parse import attachment as attachment_of

CHUNK_BYTES = 64 * 1024
FILENAME_MAX_CHARS = 120
ACTIVE = "application/octet-stream"
# Types that no browser runs anything of; SVG, HTML and XML are not among them.
HARMLESS = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/pdf"}
)
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Cf has the marks that turn text round


async def raw(call: SignedCall) -> web.StreamResponse:
    """The message as it is kept: our trace header, then the bytes as accepted."""
    query(call.request)
    row = await row_of(call)
    tag = f'"{row.content.sha256}"'
    unchanged = not_modified(call.request, tag)
    if unchanged is not None:
        return unchanged
    with call.edge.downloads.slot(call.user_id):
        content = await call.edge.ports.contents.get(row.content.ref)
        return await _send(call, content, "message/rfc822", f"{row.mail_id}.eml", tag)


async def attachment(call: SignedCall) -> web.StreamResponse:
    query(call.request)
    n = number_of(call.request)
    row = await row_of(call)
    tag = f'"{row.content.sha256}.{n}"'
    unchanged = not_modified(call.request, tag)
    if unchanged is not None:
        return unchanged
    with call.edge.downloads.slot(call.user_id):
        async with call.edge.reads:
            content = await call.edge.ports.contents.get(row.content.ref)
            part, data = await asyncio.to_thread(attachment_of, content, n)
        del content
        kind = part.content_type.lower()
        name = safe_filename(part.filename, f"attachment-{n}")
        return await _send(call, data, kind if kind in HARMLESS else ACTIVE, name, tag)


async def _send(
    call: SignedCall, data: bytes, content_type: str, filename: str, tag: str
) -> web.StreamResponse:
    """In chunks as the peer takes them; one that stalls is let go."""
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: content_type,
            hdrs.CONTENT_LENGTH: str(len(data)),
            hdrs.CONTENT_DISPOSITION: disposition(filename),
            hdrs.ETAG: tag,
            "Content-Security-Policy": SANDBOX_CSP,
        }
    )
    await response.prepare(call.request)
    view = memoryview(data) if call.request.method != hdrs.METH_HEAD else memoryview(b"")
    try:
        for start in range(0, len(view), CHUNK_BYTES):
            async with asyncio.timeout(call.edge.config.download_stall_s):
                await response.write(view[start : start + CHUNK_BYTES])
        await response.write_eof()
    except (TimeoutError, ConnectionError):
        if call.request.transport is not None:
            call.request.transport.abort()
    return response


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
