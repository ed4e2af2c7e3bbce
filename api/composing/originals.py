"""The messages that a mail answers, forwards or quotes: references and quotation."""

import asyncio
from dataclasses import dataclass, replace

from api.composing.author import Author
from api.composing.requests import MailInput, QuoteInput
from api.rest.reading.message_parsing import parse_attachment, parse_for_editing
from mail.composing.outgoing_mail import OutgoingAttachment, QuotedMail, is_content_id
from mail.html.sanitizer import sanitise_outgoing
from mail.mime.message_parser import ParsedMessage
from schemas.mail import PARTS
from schemas.mailbox import Message

IMAGES_MAX = 20  # of a quotation
IMAGES_MAX_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Originals:
    """Ids for In-Reply-To and References (RFC 5322 §3.6.4), and the quotation with its images."""

    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    quote: QuotedMail | None = None
    images: tuple[OutgoingAttachment, ...] = ()


async def originals_of(author: Author, body: MailInput, *, is_sent: bool) -> Originals:
    """Return what the mail takes from other messages. A draft has its quotation by reference.

    Raises ComposingFault: there is no such message.
    """
    if body.forward_of is not None:
        await author.message(body.forward_of, "forward_of")
    quoted = None
    if body.quote is not None:
        quoted = await author.message(body.quote.message_id, "quote.message_id")
    answered = None
    if body.in_reply_to is not None:
        answered = await author.message(body.in_reply_to, "in_reply_to")
    in_reply_to, references = _ids(answered)
    originals = Originals(in_reply_to=in_reply_to, references=references)
    if not is_sent or quoted is None or body.quote is None:
        return originals
    quote, images = await _quotation(author, quoted, body.quote, body)
    return replace(originals, quote=quote, images=images)


def _ids(answered: Message | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if answered is None or not answered.head.message_id:
        return (), ()
    head = answered.head
    earlier = head.references or (head.in_reply_to if len(head.in_reply_to) == 1 else ())
    return (head.message_id,), (*earlier, head.message_id)


async def _quotation(
    author: Author, row: Message, quote: QuoteInput, body: MailInput
) -> tuple[QuotedMail, tuple[OutgoingAttachment, ...]]:
    """The quotation, and the images that its HTML shows."""
    parsed = await parse_for_editing(author.context, row)
    head, images = row.head, tuple[OutgoingAttachment, ...]()
    html = parsed.html if quote.include == "html" and body.html is not None else None
    if html is not None and PARTS not in row.verdict.unchecked:
        own = frozenset(one.content_id for one in body.attachments)
        images = await _images(author, row, parsed, html, own)
    quoted = QuotedMail(
        kind=quote.kind,
        text=parsed.text,
        html=html,
        sender=head.sender,
        to=head.to,
        cc=head.cc,
        subject=head.subject,
        date_ms=head.date_ms if head.date_ms is not None else row.received_at_ms,
    )
    return quoted, images


async def _images(
    author: Author, row: Message, parsed: ParsedMessage, html: str, own: frozenset[str | None]
) -> tuple[OutgoingAttachment, ...]:
    """The images of the message that `html` shows, within IMAGES_MAX and IMAGES_MAX_BYTES.

    An image whose content id is one of `own`, those of the new mail, is left out.
    """
    parts = {part.content_id: part for part in parsed.attachments if part.content_id}
    ids = {id_: id_ for id_ in parts if is_content_id(id_) and id_ not in own}
    shown = await asyncio.to_thread(sanitise_outgoing, html, ids)
    images, left_bytes = list[OutgoingAttachment](), IMAGES_MAX_BYTES
    for id_ in sorted(shown.shown_ids, key=lambda id_: parts[id_].n):
        left_bytes -= parts[id_].size_bytes
        if left_bytes < 0 or len(images) == IMAGES_MAX:
            break
        part, content = await parse_attachment(author.context, row, parts[id_].n)
        images.append(
            OutgoingAttachment(
                filename=part.filename,
                content_type=part.content_type,
                content=content,
                inline=True,
                content_id=id_,
            )
        )
    return tuple(images)
