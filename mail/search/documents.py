"""The search document of a message, from its row and the text of its mail."""

from mail.mime.message_parser import SearchableText
from schemas.mail import EmailAddress
from schemas.mailbox import Message
from schemas.search import IndexDocument


def document_of(row: Message, text: SearchableText) -> IndexDocument:
    """Return the document of the message of `row`, whose mail has `text`."""
    head = row.head
    authors = text.authors or (() if head.sender is None else (head.sender,))
    return IndexDocument(
        message_id=row.message_id,
        user_id=row.user_id,
        domain_id=row.domain_id,
        received_at_ms=row.received_at_ms,
        size_bytes=row.content.size_bytes,
        has_attachments=head.has_attachments,
        subject=head.subject,
        sender=_names(authors),
        to=_names(head.to),
        cc=_names(head.cc),
        bcc=_names(text.bcc),
        body=text.text,
        filenames="\n".join(text.filenames),
        headers=text.headers,
        header_ids=_header_ids(row),
        sent_day=text.sent_day,
    )


def _names(addresses: tuple[EmailAddress, ...]) -> str:
    """Display names and addresses, one line each."""
    return "\n".join(f"{each.name} {each.address}".strip() for each in addresses)


def _header_ids(row: Message) -> dict[str, tuple[str, ...]]:
    """The message ids of the header (RFC 5322 §3.6.4), by field, as far as the row has them."""
    head = row.head
    ids = {
        "message-id": (head.message_id,) if head.message_id else (),
        "in-reply-to": head.in_reply_to,
        "references": head.references,
    }
    return {field: given for field, given in ids.items() if given}
