"""Reading of bodies with a mail, which may be larger than those of other routes."""

import asyncio
from typing import TypeVar

from api.composing.requests import MailInput
from api.context import AuthenticatedRequest
from api.http.request_octets import announced_bytes, read_octets
from api.rest.parameters import check_is_json, decode_body, read_body

Body = TypeVar("Body", bound=MailInput)


async def read_mail_body(call: AuthenticatedRequest, kind: type[Body]) -> Body:
    """Return the body of a draft or a submission, up to `compose_body_max_bytes`.

    A body beyond the size of other bodies is read as uploads are, in a slot of uploads. Raises
    Problem: 429 no slot is free; 413 it is too large; 408 it comes too slowly; otherwise as
    `read_body`.
    """
    request, config = call.request, call.context.config
    size_bytes = announced_bytes(request, max_bytes=config.compose_body_max_bytes)
    if size_bytes <= config.body_max_bytes:
        return await read_body(request, kind)
    check_is_json(request)
    with call.context.upload_slots.slot(call.user_id, 3 * size_bytes):
        content = await read_octets(request, config, max_bytes=config.compose_body_max_bytes)
        return await asyncio.to_thread(decode_body, content, kind)
