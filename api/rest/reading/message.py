"""GET /v1/messages/{id}: one message with its parsed content and sanitised HTML."""

import msgspec
from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.problems import not_found
from api.rest.conditional_requests import message_etag, not_modified
from api.rest.parameters import id_of, query
from api.rest.reading.message_parsing import parse_for_display
from api.rest.responses import (
    AddressResource,
    MessageSummary,
    Timestamp,
    address_resources,
    json_response,
    summary_fields,
)
from api.route import AuthenticatedRoute
from mail.clock import rfc3339
from mail.mime.list_unsubscribe import unsubscribe_offer
from mail.mime.message_parser import ParsedMessage, is_inline_image
from mail.mime.passive_types import Preview, preview_of
from schemas.ids import MessageId
from schemas.mail import PARTS, Hop
from schemas.mailbox import Message

TRUNCATION_NOTE = "\n[The rest is in the raw message.]"


class HeaderField(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    value: str


class AttachmentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`inline`: an image of the HTML. `preview`: how `?inline=true` may be displayed; null: not."""

    n: int
    filename: str
    content_type: str
    size_bytes: int
    content_id: str
    inline: bool
    preview: Preview | None


class ViewInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What `/v1/messages/{id}/view` displays.

    `html` false: plain text. `remote_images` are not loaded; `trackers` are those of them that are
    invisible. `own_colours`: the mail sets colours, so it is displayed on white.
    """

    html: bool
    remote_images: int
    trackers: int
    own_colours: bool
    quoted: bool


class UnsubscribeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """List-Unsubscribe (RFC 2369 §3.2): the first HTTPS link and the first address.

    `one_click`: the link accepts the request of RFC 8058.
    """

    one_click: bool
    url: str | None
    mailto: str | None


class SpamResource(msgspec.Struct, frozen=True, kw_only=True):
    score: float
    tests: list[str]


class HopInfo(msgspec.Struct, frozen=True, kw_only=True):
    stage: str
    started_at: Timestamp
    took_ms: float
    verdict: str
    attempt: int
    worker: str


class MessageBody(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a message; `html` is sanitised, and null if the mail has no HTML."""

    cc: list[AddressResource]
    reply_to: list[AddressResource]
    message_id: str
    in_reply_to: list[str]
    references: list[str]
    headers: list[HeaderField]
    text: str
    html: str | None
    attachments: list[AttachmentInfo]
    view: ViewInfo
    unsubscribe: UnsubscribeInfo | None
    spam: SpamResource
    unchecked: list[str]  # what no scanner could read: `encrypted`, `parts`
    hops: list[HopInfo]


class MessageDetail(MessageSummary, frozen=True, kw_only=True):
    """A message with its content: the fields of MessageSummary and of MessageBody."""

    cc: list[AddressResource]
    reply_to: list[AddressResource]
    message_id: str
    in_reply_to: list[str]
    references: list[str]
    headers: list[HeaderField]
    text: str
    html: str | None
    attachments: list[AttachmentInfo]
    view: ViewInfo
    unsubscribe: UnsubscribeInfo | None
    spam: SpamResource
    unchecked: list[str]
    hops: list[HopInfo]


async def get_message(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    row = await read_message(call)
    etag = message_etag(call, row)
    unchanged = not_modified(call.request, etag)
    if unchanged is not None:
        return unchanged
    parsed = await parse_for_display(call.context, row)
    body = message_body(row, parsed, call.context.config.text_max_chars)
    fields = {name: getattr(body, name) for name in MessageBody.__struct_fields__}
    detail = MessageDetail(**summary_fields(row), **fields)
    return json_response(detail, headers={hdrs.ETAG: etag})


async def read_message(call: AuthenticatedRequest) -> Message:
    """The caller's message of the id in the path.

    Raises Problem 404: the id is malformed, unknown, hidden, destroyed or of another user.
    """
    row = await call.context.ports.store.message(call.user_id, MessageId(id_of(call.request)))
    if row is None or not row.shown_places:
        raise not_found()
    return row


def message_body(row: Message, parsed: ParsedMessage, text_max_chars: int) -> MessageBody:
    """The content as responses show it; `parsed.html` must be sanitised already."""
    head = row.head
    is_cut = len(parsed.text) > text_max_chars
    return MessageBody(
        cc=address_resources(head.cc),
        reply_to=address_resources(head.reply_to),
        message_id=head.message_id,
        in_reply_to=list(head.in_reply_to),
        references=list(head.references),
        headers=[HeaderField(name=name, value=value) for name, value in parsed.headers],
        text=parsed.text[:text_max_chars] + TRUNCATION_NOTE if is_cut else parsed.text,
        html=parsed.html,
        attachments=[] if PARTS in row.verdict.unchecked else _attachments(parsed),
        view=_view_info(parsed),
        unsubscribe=_unsubscribe_info(parsed),
        spam=SpamResource(score=row.verdict.spam_score, tests=list(row.verdict.spam_tests)),
        unchecked=list(row.verdict.unchecked),
        hops=[_hop_info(hop) for hop in row.hops],
    )


def _attachments(parsed: ParsedMessage) -> list[AttachmentInfo]:
    return [
        AttachmentInfo(
            n=part.n,
            filename=part.filename,
            content_type=part.content_type,
            size_bytes=part.size_bytes,
            content_id=part.content_id,
            inline=is_inline_image(part),
            preview=preview_of(part.content_type),
        )
        for part in parsed.attachments
    ]


def _view_info(parsed: ParsedMessage) -> ViewInfo:
    features = parsed.features
    return ViewInfo(
        html=parsed.html is not None,
        remote_images=features.remote_images,
        trackers=features.trackers,
        own_colours=features.own_colours,
        quoted=features.quoted,
    )


def _unsubscribe_info(parsed: ParsedMessage) -> UnsubscribeInfo | None:
    offer = unsubscribe_offer(parsed.headers)
    return offer and UnsubscribeInfo(one_click=offer.one_click, url=offer.url, mailto=offer.mailto)


def _hop_info(hop: Hop) -> HopInfo:
    return HopInfo(
        stage=hop.stage,
        started_at=rfc3339(hop.started_at_ms),
        took_ms=hop.took_ms,
        verdict=hop.verdict,
        attempt=hop.attempt,
        worker=hop.worker,
    )


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/messages/{id}",
        name="message",
        summary="Get one message; its HTML is sanitised and loads nothing.",
        handler=get_message,
        response=MessageDetail,
        problems=(404,),
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
)
