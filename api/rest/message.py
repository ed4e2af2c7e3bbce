"""One message, read: its row, and what its content says. Nothing in it can run in the page."""

from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.problems import not_found
from api.rest.conditional_requests import not_modified, tag_of
from api.rest.message_parsing import shown
from api.rest.parameters import id_of, query
from api.rest.responses import (
    AttachmentInfo,
    HeaderField,
    MessageDetail,
    SpamResource,
    addresses,
    hop,
    json_answer,
    shared_of,
    summary,
)
from mail.mime.message_parser import ParsedMessage
from schemas.mail import PARTS
from schemas.mailbox import Message

CUT = "\n[The rest is in the raw message.]"


async def message(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    row = await row_of(call)
    tag = tag_of(call, row)
    unchanged = not_modified(call.request, tag)
    if unchanged is not None:
        return unchanged
    reading = await shown(call.edge, row)
    body = detail(row, reading, call.edge.config.text_max_chars)
    return json_answer(body, headers={hdrs.ETAG: tag})


async def row_of(call: AuthenticatedRequest) -> Message:
    """The caller's own message; whatever else the id may be: 404."""
    row = await call.edge.ports.store.message(call.user_id, id_of(call.request))
    if row is None or row.destroyed:
        raise not_found()
    return row


def detail(row: Message, reading: ParsedMessage, text_max_chars: int) -> MessageDetail:
    """The answer's body, of a reading whose HTML is safe already."""
    head = row.head
    cut = len(reading.text) > text_max_chars
    return MessageDetail(
        **shared_of(summary(row)),
        cc=addresses(head.cc),
        reply_to=addresses(head.reply_to),
        message_id=head.message_id,
        in_reply_to=list(head.in_reply_to),
        references=list(head.references),
        headers=[HeaderField(name=name, value=value) for name, value in reading.headers],
        text=reading.text[:text_max_chars] + CUT if cut else reading.text,
        html=reading.html,
        attachments=[
            AttachmentInfo(
                n=part.n,
                filename=part.filename,
                content_type=part.content_type,
                size_bytes=part.size_bytes,
            )
            for part in reading.attachments
            if PARTS not in row.verdict.unchecked
        ],
        spam=SpamResource(score=row.verdict.spam_score, tests=list(row.verdict.spam_tests)),
        unchecked=list(row.verdict.unchecked),
        hops=[hop(one) for one in row.hops],
    )
