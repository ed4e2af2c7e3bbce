"""One message, read: its row, and what its content says. Nothing in it can run in the page."""

import asyncio

import msgspec
from aiohttp import hdrs, web

from api.answers import (
    AttachmentInfo,
    Detail,
    Header,
    Spam,
    addresses,
    hop,
    shared_of,
    summary,
)
from api.conditions import not_modified, tag_of
from api.edge import Edge, SignedCall
from api.inputs import id_of, query
from api.problems import not_found
from mail.html import sanitise
from mail.parse import Reading, read_mail
from schemas.mailbox import Message

CUT = "\n[The rest is in the raw message.]"


async def message(call: SignedCall) -> web.StreamResponse:
    query(call.request)
    row = await row_of(call)
    tag = tag_of(call, row)
    unchanged = not_modified(call.request, tag)
    if unchanged is not None:
        return unchanged
    body, headers = await _read(call.edge, row), {hdrs.ETAG: tag}
    return web.Response(body=body, content_type="application/json", headers=headers)


async def row_of(call: SignedCall) -> Message:
    """The caller's own message; whatever else the id may be: 404."""
    row = await call.edge.ports.store.message(call.user_id, id_of(call.request))
    if row is None or row.destroyed:
        raise not_found()
    return row


async def _read(edge: Edge, row: Message) -> bytes:
    """The answer's body; a big mail is read on a thread, and few of them at once."""
    text_max_chars = edge.config.text_max_chars
    if row.content.size_bytes <= edge.config.off_loop_bytes:
        return _body(row, await edge.ports.contents.get(row.content.ref), text_max_chars)
    async with edge.reads:
        content = await edge.ports.contents.get(row.content.ref)
        return await asyncio.to_thread(_body, row, content, text_max_chars)


def _body(row: Message, content: bytes, text_max_chars: int) -> bytes:
    reading = read_mail(content)
    html = None if reading.html is None else sanitise(reading.html[:text_max_chars])
    return msgspec.json.encode(detail(row, reading, html, text_max_chars))


def detail(row: Message, reading: Reading, html: str | None, text_max_chars: int) -> Detail:
    head = row.head
    cut = len(reading.text) > text_max_chars
    return Detail(
        **shared_of(summary(row)),
        cc=addresses(head.cc),
        reply_to=addresses(head.reply_to),
        message_id=head.message_id,
        in_reply_to=list(head.in_reply_to),
        references=list(head.references),
        headers=[Header(name=name, value=value) for name, value in reading.headers],
        text=reading.text[:text_max_chars] + CUT if cut else reading.text,
        html=html,
        attachments=[
            AttachmentInfo(
                n=part.n,
                filename=part.filename,
                content_type=part.content_type,
                size_bytes=part.size_bytes,
            )
            for part in reading.attachments
        ],
        spam=Spam(score=row.verdict.spam_score, tests=list(row.verdict.spam_tests)),
        hops=[hop(one) for one in row.hops],
    )
