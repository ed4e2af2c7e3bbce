"""The fields of a saved draft, read from its octets: what `DraftInput` had, and its parts."""

import msgspec

from api.rest.responses import AddressResource, Timestamp, address_resources
from mail.clock import rfc3339
from mail.composing.draft_field import DraftQuote
from mail.composing.written_fields import WrittenFields
from mail.mime.message_parser import ParsedMessage
from schemas.mail import PARTS
from schemas.mailbox import Message


class DraftAttachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the draft. A later version has it by `n`, or by `upload_id` if it was an upload."""

    n: int
    upload_id: str | None
    filename: str
    content_type: str
    size_bytes: int
    inline: bool
    content_id: str | None


class DraftQuoteResource(msgspec.Struct, frozen=True, kw_only=True):
    """The message that is quoted when the draft is sent."""

    message_id: str
    kind: str
    include: str


class DraftResource(msgspec.Struct, frozen=True, kw_only=True):
    """A draft. `text` is null if text is made from `html`; `html` is safe, with its own images."""

    id: str
    message_id: str
    changed_seq: int
    saved_at: Timestamp
    identity_id: str | None
    sender: AddressResource | None = msgspec.field(name="from")
    to: list[AddressResource]
    cc: list[AddressResource]
    bcc: list[AddressResource]
    reply_to: list[AddressResource]
    subject: str
    text: str | None
    html: str | None
    attachments: list[DraftAttachment]
    in_reply_to: str | None
    forward_of: str | None
    quote: DraftQuoteResource | None
    headers: dict[str, str]
    client_id: str | None


def draft_id_of(row: Message) -> str:
    """The id of the draft whose version is `row`."""
    return row.draft_id or row.message_id


def draft_form(row: Message, fields: WrittenFields, parsed: ParsedMessage) -> DraftResource:
    """Return the draft of the row, with its fields and its parsed content."""
    state, sender = fields.state, fields.sender
    return DraftResource(
        id=draft_id_of(row),
        message_id=row.message_id,
        changed_seq=row.changed_seq,
        saved_at=rfc3339(row.received_at_ms),
        identity_id=state.identity_id,
        sender=AddressResource(sender.name, sender.address) if sender else None,
        to=address_resources(fields.to),
        cc=address_resources(fields.cc),
        bcc=address_resources(fields.bcc),
        reply_to=address_resources(fields.reply_to),
        subject=fields.subject,
        text=None if state.is_text_made and parsed.html is not None else _own(parsed.text),
        html=None if parsed.html is None else parsed.html.strip(),
        attachments=[] if PARTS in row.verdict.unchecked else _attachments(fields, parsed),
        in_reply_to=state.in_reply_to,
        forward_of=state.forward_of,
        quote=_quote(state.quote),
        headers=fields.headers,
        client_id=state.client_id,
    )


def _quote(quote: DraftQuote | None) -> DraftQuoteResource | None:
    if quote is None:
        return None
    return DraftQuoteResource(message_id=quote.message_id, kind=quote.kind, include=quote.include)


def _own(text: str) -> str:
    """The text without the line end that ends every body."""
    return text.removesuffix("\n")


def _attachments(fields: WrittenFields, parsed: ParsedMessage) -> list[DraftAttachment]:
    upload_ids = dict(enumerate(fields.state.upload_ids, start=1))
    return [
        DraftAttachment(
            n=part.n,
            upload_id=upload_ids.get(part.n) or None,
            filename=part.filename,
            content_type=part.content_type,
            size_bytes=part.size_bytes,
            inline=not part.attached,
            content_id=part.content_id or None,
        )
        for part in parsed.attachments
    ]
