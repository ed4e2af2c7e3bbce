"""Composer: the octets of an outgoing mail (RFC 5322, MIME), with CR LF and 7-bit lines.

Only addresses with a local part that is not ASCII are written in UTF-8 (RFC 6532 §3.2).
The mail has a Bcc field, for the sender's own copy: `for_recipients` removes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from mail.composing.body_parts import written_part
from mail.composing.body_structure import body_of
from mail.composing.faults import ComposingFault
from mail.composing.header_fields import address_field, folded, ids_field, text_field
from mail.composing.outgoing_mail import (
    SIZE_MAX_BYTES,
    OutgoingMail,
    check,
    known_ids,
    references_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedMail:
    """The octets of a mail. `needs_smtputf8`: its header has UTF-8 (RFC 6531 §3.4).

    `order`: indexes of the attachments of the OutgoingMail in the order of their parts.
    """

    octets: bytes
    needs_smtputf8: bool
    order: tuple[int, ...] = ()


def compose(mail: OutgoingMail, *, size_max_bytes: int = SIZE_MAX_BYTES) -> ComposedMail:
    """Return the octets of `mail`.

    The same arguments give the same octets. Raises ComposingFault: a field cannot be sent, or the
    mail has more than `size_max_bytes`.
    """
    check(mail)
    root, order = body_of(mail, size_max_bytes=size_max_bytes)
    header = b"".join([*_fields(mail), folded("MIME-Version", ["1.0"])])
    octets = b"".join([header, *written_part(root, seed=mail.mail_id)])
    if len(octets) > size_max_bytes:
        detail = f"The whole mail has at most {size_max_bytes} bytes as it is sent."
        raise ComposingFault("attachments" if mail.attachments else "text", detail)
    return ComposedMail(octets=octets, needs_smtputf8=not header.isascii(), order=order)


def _fields(mail: OutgoingMail) -> Iterator[bytes]:
    yield address_field("From", [mail.sender])
    named = (("To", mail.to), ("Cc", mail.cc), ("Bcc", mail.bcc), ("Reply-To", mail.reply_to))
    for name, addresses in named:
        if addresses:
            yield address_field(name, addresses)
    if mail.subject.strip():
        yield text_field("Subject", mail.subject)
    date = format_datetime(datetime.fromtimestamp(mail.date_ms // 1000, mail.zone))
    yield folded("Date", date.split())
    yield ids_field("Message-ID", [mail.message_id])
    parents = (("In-Reply-To", known_ids(mail.in_reply_to)), ("References", references_of(mail)))
    for name, ids in parents:
        if ids:
            yield ids_field(name, ids)
    for name, value in mail.headers:
        yield text_field(name, value)
