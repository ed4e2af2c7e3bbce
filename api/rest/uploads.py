"""/v1/uploads: files for attachments, kept for a day after their last use."""

import re

import msgspec
from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.http.request_octets import announced_bytes, read_octets
from api.problems import Problem, bad_request
from api.rest.mailbox_commands import BODY_PROBLEMS, DEPOSIT_PROBLEMS
from api.rest.parameters import id_of, query
from api.rest.reading.downloads import OCTET_STREAM
from api.rest.responses import Timestamp, json_response
from api.route import AuthenticatedRoute
from mail.clock import rfc3339
from mail.filenames import safe_filename
from mail.mime.parameters import parse_parameterized_field
from schemas.uploads import Upload

PATH = "/v1/uploads"
HEADER_MAX_CHARS = 4 * 1024
_CONTENT_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")  # RFC 6838 §4.2


class UploadInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`expires_at` moves with each use, as by a draft that names the upload."""

    id: str
    filename: str
    content_type: str
    size_bytes: int
    sha256: str
    expires_at: Timestamp


async def create_upload(call: AuthenticatedRequest) -> web.StreamResponse:
    """Store the body as a file, after a virus scan.

    Name by Content-Disposition (RFC 6266), type by Content-Type. Raises Problem 413, 415, 422, 507.
    """
    query(call.request)
    context, request = call.context, call.request
    filename, content_type = _filename(request), _content_type(request)
    max_bytes = context.config.uploads.size_max_bytes
    size_bytes = announced_bytes(request, max_bytes=max_bytes)
    with context.upload_slots.slot(call.user_id, 2 * size_bytes):
        octets = await read_octets(request, context.config, max_bytes=max_bytes)
        upload = await context.uploader.upload(
            call.caller.user, octets, filename=filename, content_type=content_type
        )
    location = {"Location": f"{PATH}/{upload.upload_id}"}
    return json_response(_info(upload), status=201, headers=location)


async def get_upload(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    upload = await call.context.uploader.find(call.user_id, id_of(call.request))
    return json_response(_info(upload))


async def delete_upload(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    await call.context.uploader.delete(call.user_id, id_of(call.request))
    return web.Response(status=204)


def _filename(request: web.Request) -> str:
    """The name of the file, safe for every system; `attachment` without one."""
    header = request.headers.get(hdrs.CONTENT_DISPOSITION, "")
    if len(header) > HEADER_MAX_CHARS:
        raise bad_request("bad_filename", "It is too long.", "header:Content-Disposition")
    disposition = parse_parameterized_field(header)
    return safe_filename(disposition.parameters.get("filename", ""), "attachment")


def _content_type(request: web.Request) -> str:
    """The media type without parameters. Raises Problem 415: not one of a single file."""
    if hdrs.CONTENT_TYPE not in request.headers:
        return OCTET_STREAM
    content_type = request.headers[hdrs.CONTENT_TYPE].partition(";")[0].strip().lower()
    if not _CONTENT_TYPE.fullmatch(content_type) or content_type.startswith("multipart/"):
        detail = "Send the octets of one file, with its media type."
        raise Problem(415, "unsupported_media_type", detail)
    return content_type


def _info(upload: Upload) -> UploadInfo:
    return UploadInfo(
        id=upload.upload_id,
        filename=upload.filename,
        content_type=upload.content_type,
        size_bytes=upload.size_bytes,
        sha256=upload.sha256,
        expires_at=rfc3339(upload.expires_at_ms),
    )


ROUTES = (
    AuthenticatedRoute(
        method="POST",
        path=PATH,
        name="create_upload",
        summary="Upload a file for an attachment. It is scanned for viruses first.",
        handler=create_upload,
        octets=True,
        headers=(hdrs.CONTENT_DISPOSITION,),
        status=201,
        response=UploadInfo,
        problems=(403, 408, *BODY_PROBLEMS, *DEPOSIT_PROBLEMS),
    ),
    AuthenticatedRoute(
        method="GET",
        path=f"{PATH}/{{id}}",
        name="upload",
        summary="Get name, type, size and end of an upload.",
        handler=get_upload,
        response=UploadInfo,
        problems=(404,),
    ),
    AuthenticatedRoute(
        method="DELETE",
        path=f"{PATH}/{{id}}",
        name="delete_upload",
        summary="Delete an upload. Messages that were made with it keep the file.",
        handler=delete_upload,
        status=204,
        problems=(403, 404),
    ),
)
