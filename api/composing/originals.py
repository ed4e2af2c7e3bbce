"""The messages that a mail answers, forwards or quotes: references and quotation."""

from dataclasses import dataclass

from api.composing.author import Author
from api.composing.requests import MailInput, QuoteInput
from api.rest.message_parsing import parse_for_display
from mail.composing.outgoing_mail import QuotedMail
from schemas.mailbox import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Originals:
    """Ids for In-Reply-To and References (RFC 5322 §3.6.4), and the quotation."""

    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    quote: QuotedMail | None = None


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
    quote = None
    if is_sent and quoted is not None and body.quote is not None:
        quote = await _quotation(author, quoted, body.quote)
    return Originals(in_reply_to=in_reply_to, references=references, quote=quote)


def _ids(answered: Message | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if answered is None or not answered.head.message_id:
        return (), ()
    head = answered.head
    earlier = head.references or (head.in_reply_to if len(head.in_reply_to) == 1 else ())
    return (head.message_id,), (*earlier, head.message_id)


async def _quotation(author: Author, row: Message, quote: QuoteInput) -> QuotedMail:
    parsed = await parse_for_display(author.context, row)
    head = row.head
    return QuotedMail(
        kind=quote.kind,
        text=parsed.text,
        html=parsed.html if quote.include == "html" else None,
        sender=head.sender,
        to=head.to,
        cc=head.cc,
        subject=head.subject,
        date_ms=head.date_ms if head.date_ms is not None else row.received_at_ms,
    )
