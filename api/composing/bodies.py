"""Reading of bodies with a mail, which may be larger than those of other routes."""

from typing import TypeVar

from api.composing.requests import MailInput
from api.context import AuthenticatedRequest
from api.rest.parameters import read_body

Body = TypeVar("Body", bound=MailInput)


async def read_mail_body(call: AuthenticatedRequest, kind: type[Body]) -> Body:
    """Return the body of a draft or a submission, up to `compose_body_max_bytes`.

    A body beyond the size of other bodies takes a slot of downloads, as both take memory. Raises
    Problem: 429 no slot is free; otherwise as `read_body`.
    """
    config, size_bytes = call.context.config, call.request.content_length
    most_bytes = config.compose_body_max_bytes
    if size_bytes is not None and size_bytes <= config.body_max_bytes:
        return await read_body(call.request, kind)
    with call.context.download_slots.slot(call.user_id, min(size_bytes or most_bytes, most_bytes)):
        return await read_body(
            call.request, kind, max_bytes=most_bytes, max_s=config.compose_body_max_s
        )
