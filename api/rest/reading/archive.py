"""GET /v1/messages/{id}/attachments.zip: all attachments of a message in one file.

The archive is not compressed (most attachments are), and is sent while it is made.
"""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime

from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.http.paced_response import send
from api.http.security_headers import SANDBOX_CSP
from api.problems import not_found
from api.rest.conditional_requests import not_modified
from api.rest.parameters import query
from api.rest.reading.downloads import disposition
from api.rest.reading.message import read_message
from api.rest.reading.message_parsing import parse_all_attachments
from api.route import AuthenticatedRoute
from mail.filenames import safe_filename
from mail.mime.message_parser import Attachment
from schemas.mail import PARTS
from schemas.mailbox import Message

ZIP = "application/zip"
_FIRST_YEAR, _LAST_YEAR = 1980, 2107  # of a date in an archive (APPNOTE 4.4.6)


async def get_archive(call: AuthenticatedRequest) -> web.StreamResponse:
    """Raises Problem 404: the message has no attachment that is handed out."""
    query(call.request)
    row = await read_message(call)
    if PARTS in row.verdict.unchecked:
        raise not_found()
    etag = f'"{row.content.sha256}.zip"'
    unchanged = not_modified(call.request, etag)
    if unchanged is not None:
        return unchanged
    with call.context.download_slots.slot(call.user_id, row.content.size_bytes):
        attachments, files = await parse_all_attachments(call.context, row)
        if not attachments:
            raise not_found()
        filename = safe_filename(f"{row.head.subject}.zip", "attachments.zip")
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: ZIP,
                hdrs.CONTENT_DISPOSITION: disposition(filename),
                hdrs.ETAG: etag,
                "Content-Security-Policy": SANDBOX_CSP,
            }
        )
        pieces = _archive(row, attachments, files)
        return await send(call.request, response, pieces, call.context.config)


class _Pieces(io.RawIOBase):
    """A file that cannot seek; `take` returns what was written since the last call."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, octets: object) -> int:
        view = memoryview(octets)  # type: ignore[arg-type]
        self._written += view
        return view.nbytes

    def take(self) -> bytes:
        taken, self._written = bytes(self._written), bytearray()
        return taken


async def _archive(
    row: Message, attachments: Sequence[Attachment], files: Sequence[bytes]
) -> AsyncIterator[bytes]:
    pieces, at = _Pieces(), _date(row.received_at_ms)
    archive = zipfile.ZipFile(pieces, "w", zipfile.ZIP_STORED)
    for name, octets in zip(_names(attachments), files, strict=True):
        entry = zipfile.ZipInfo(name, date_time=at)
        await asyncio.to_thread(archive.writestr, entry, octets)  # computes a checksum
        yield pieces.take()
    archive.close()
    yield pieces.take()


def _names(attachments: Sequence[Attachment]) -> Iterator[str]:
    """Safe names; a repeated name has a number before its extension."""
    taken: set[str] = set()
    for part in attachments:
        name = safe_filename(part.filename, f"attachment-{part.n}")
        if name.casefold() in taken:
            stem, dot, extension = name.rpartition(".")
            name = f"{stem} ({part.n}){dot}{extension}" if stem else f"{name} ({part.n})"
        taken.add(name.casefold())
        yield name


def _date(at_ms: int) -> tuple[int, int, int, int, int, int]:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    year = min(max(at.year, _FIRST_YEAR), _LAST_YEAR)
    return year, at.month, at.day, at.hour, at.minute, at.second


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/messages/{id}/attachments.zip",
        name="attachments_zip",
        summary="Download all attachments of a message as one archive.",
        handler=get_archive,
        media_type=ZIP,
        problems=(404,),
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
)
