"""Downloads: raw messages and attachments, which browsers save or open in a sandbox."""

import re
from collections.abc import AsyncIterator
from urllib.parse import quote

from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.http.paced_response import send, whole
from api.http.security_headers import INLINE_CSP, NO_OPENER_POLICY, SANDBOX_CSP
from api.problems import not_found
from api.rest.conditional_requests import not_modified
from api.rest.parameters import attachment_number_of, flag_of, query
from api.rest.reading.message import read_message
from api.rest.reading.message_parsing import parse_attachment
from api.route import AuthenticatedRoute
from mail.filenames import safe_filename
from mail.mime.passive_types import PASSIVE_TYPES
from schemas.mail import PARTS
from schemas.mailbox import Message

PIECE_BYTES = 256 * 1024  # of one read from the content store
OCTET_STREAM = "application/octet-stream"


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
        headers = _headers(size_bytes, "message/rfc822", f"{row.mail_id}.eml", etag)
        return await _send(call, pieces, headers)


async def get_attachment(call: AuthenticatedRequest) -> web.StreamResponse:
    """Attachment `n`, decoded; `inline=true`: for display in our page, if its type is passive.

    Raises Problem 404: no such attachment, or mail parts unscanned.
    """
    inline = flag_of(query(call.request, "inline"), "inline") or False
    n = attachment_number_of(call.request)
    row = await read_message(call)
    if PARTS in row.verdict.unchecked:  # no scanner saw this attachment as it would be sent
        raise not_found()
    etag = f'"{row.content.sha256}.{n}{".inline" if inline else ""}"'
    unchanged = not_modified(call.request, etag)
    if unchanged is not None:
        return unchanged
    with call.context.download_slots.slot(call.user_id, row.content.size_bytes):
        part, data = await parse_attachment(call.context, row, n)
        content_type = part.content_type.lower()
        is_passive = content_type in PASSIVE_TYPES
        filename = safe_filename(part.filename, f"attachment-{n}")
        headers = {
            **_headers(len(data), content_type if is_passive else OCTET_STREAM, filename, etag),
            **(_inline_headers(filename) if inline and is_passive else {}),
        }
        return await _send(call, whole(data), headers)


async def _pieces(call: AuthenticatedRequest, row: Message) -> AsyncIterator[bytes]:
    """The content in pieces of PIECE_BYTES, so that memory does not hold all of it."""
    ref, size_bytes = row.content.ref, row.content.size_bytes
    for start in range(0, size_bytes, PIECE_BYTES):
        size = min(PIECE_BYTES, size_bytes - start)
        yield await call.context.ports.contents.read(ref, start=start, size_bytes=size)


async def _send(
    call: AuthenticatedRequest, pieces: AsyncIterator[bytes], headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    return await send(call.request, response, pieces, call.context.config)


def _headers(size_bytes: int, content_type: str, filename: str, etag: str) -> dict[str, str]:
    return {
        hdrs.CONTENT_TYPE: content_type,
        hdrs.CONTENT_LENGTH: str(size_bytes),
        hdrs.CONTENT_DISPOSITION: disposition(filename),
        hdrs.ETAG: etag,
        "Content-Security-Policy": SANDBOX_CSP,
    }


def _inline_headers(filename: str) -> dict[str, str]:
    """Headers of a file in a frame or an image of our page; it is as dead when opened alone."""
    return {
        hdrs.CONTENT_DISPOSITION: disposition(filename, kind="inline"),
        "Content-Security-Policy": INLINE_CSP,
        **NO_OPENER_POLICY,
    }


def disposition(filename: str, *, kind: str = "attachment") -> str:
    """Content-Disposition (RFC 6266 §4.3): ASCII for old clients, then the name by RFC 8187."""
    plain = re.sub(r"[^A-Za-z0-9 ._()+,=@-]", "_", filename)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


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
        summary="Download an attachment, or display it if its type has no active content.",
        handler=get_attachment,
        query=("inline",),
        media_type=OCTET_STREAM,
        problems=(404,),
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
)
