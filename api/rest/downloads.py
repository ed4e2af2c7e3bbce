"""Downloads: raw messages and attachments, which browsers save or open in a sandbox."""

import re
from collections.abc import AsyncIterator
from urllib.parse import quote

from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.http.paced_response import send, whole
from api.http.security_headers import SANDBOX_CSP
from api.problems import not_found
from api.rest.conditional_requests import not_modified
from api.rest.message import read_message
from api.rest.message_parsing import parse_attachment
from api.rest.parameters import attachment_number_of, query
from api.route import AuthenticatedRoute
from mail.filenames import safe_filename
from schemas.mail import PARTS
from schemas.mailbox import Message

PIECE_BYTES = 256 * 1024  # of one read from the content store
OCTET_STREAM = "application/octet-stream"
# Types without active content. SVG, HTML and XML can carry scripts and are sent as octet streams.
PASSIVE_TYPES = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/pdf"}
)


async def get_raw(call: AuthenticatedRequest) -> web.StreamResponse:
    """The stored message: our trace header, then the octets as accepted."""
    query(call.request)
    row = await read_message(call)
    etag = f'"{row.content.sha256}"'
    unchanged = not_modified(call.request, etag)
    if unchanged is not None:
        return unchanged
    with call.context.download_slots.slot(call.user_id, PIECE_BYTES):
        size_bytes, pieces = row.content.size_bytes, _pieces(call, row)
        return await _send(call, pieces, size_bytes, "message/rfc822", f"{row.mail_id}.eml", etag)


async def get_attachment(call: AuthenticatedRequest) -> web.StreamResponse:
    """Attachment `n`, decoded. Raises Problem 404: no such attachment, or mail parts unscanned."""
    query(call.request)
    n = attachment_number_of(call.request)
    row = await read_message(call)
    if PARTS in row.verdict.unchecked:  # no scanner saw this attachment as it would be sent
        raise not_found()
    etag = f'"{row.content.sha256}.{n}"'
    unchanged = not_modified(call.request, etag)
    if unchanged is not None:
        return unchanged
    with call.context.download_slots.slot(call.user_id, row.content.size_bytes):
        part, data = await parse_attachment(call.context, row, n)
        content_type = part.content_type.lower()
        content_type = content_type if content_type in PASSIVE_TYPES else OCTET_STREAM
        filename = safe_filename(part.filename, f"attachment-{n}")
        return await _send(call, whole(data), len(data), content_type, filename, etag)


async def _pieces(call: AuthenticatedRequest, row: Message) -> AsyncIterator[bytes]:
    """The content in pieces of PIECE_BYTES, so that memory does not hold all of it."""
    ref, size_bytes = row.content.ref, row.content.size_bytes
    for start in range(0, size_bytes, PIECE_BYTES):
        size = min(PIECE_BYTES, size_bytes - start)
        yield await call.context.ports.contents.read(ref, start=start, size_bytes=size)


async def _send(
    call: AuthenticatedRequest,
    pieces: AsyncIterator[bytes],
    size_bytes: int,
    content_type: str,
    filename: str,
    etag: str,
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: content_type,
            hdrs.CONTENT_LENGTH: str(size_bytes),
            hdrs.CONTENT_DISPOSITION: disposition(filename),
            hdrs.ETAG: etag,
            "Content-Security-Policy": SANDBOX_CSP,
        }
    )
    return await send(call.request, response, pieces, call.context.config)


def disposition(filename: str) -> str:
    """Content-Disposition (RFC 6266 §4.3): ASCII for old clients, then the name by RFC 8187."""
    plain = re.sub(r"[^A-Za-z0-9 ._()+,=@-]", "_", filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/messages/{id}/raw",
        name="raw",
        summary="Download the stored message: trace header, then the octets as accepted.",
        handler=get_raw,
        media_type="message/rfc822",
        problems=(404,),
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
    AuthenticatedRoute(
        method="GET",
        path="/v1/messages/{id}/attachments/{n}",
        name="attachment",
        summary="Download an attachment.",
        handler=get_attachment,
        media_type=OCTET_STREAM,
        problems=(404,),
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
)
