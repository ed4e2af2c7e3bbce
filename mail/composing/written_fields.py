"""Header fields of a draft as its author wrote them: whole lists of addresses, and own fields.

Unlike the summary of a message, nothing is cut below the limits of one mail.
"""

import msgspec

from mail.composing.draft_field import DraftState, draft_state
from mail.composing.outgoing_mail import (
    HEADER_VALUE_MAX_CHARS,
    HEADERS_MAX,
    RECIPIENTS_MAX,
    SUBJECT_MAX_CHARS,
    is_settable,
)
from mail.composing.sent_copies import DRAFT_FIELD
from mail.mime.address_list_parser import parse_address_entries
from mail.mime.encoded_words import decode_field
from mail.mime.header_fields import Header, read_header
from mail.text_cleaning import one_line
from schemas.mail import EmailAddress


class WrittenFields(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a draft."""

    sender: EmailAddress | None
    to: tuple[EmailAddress, ...]
    cc: tuple[EmailAddress, ...]
    bcc: tuple[EmailAddress, ...]
    reply_to: tuple[EmailAddress, ...]
    subject: str
    headers: dict[str, str]  # those that its author may set
    state: DraftState


def written_fields(octets: bytes) -> WrittenFields:
    """Return the fields in the header of a mail; malformed fields as received mail is read."""
    header = read_header(octets)
    return WrittenFields(
        sender=next(iter(_addresses(header, "from")), None),
        to=_addresses(header, "to"),
        cc=_addresses(header, "cc"),
        bcc=_addresses(header, "bcc"),
        reply_to=_addresses(header, "reply-to"),
        subject=header.text("subject", limit=SUBJECT_MAX_CHARS),
        headers=_own_headers(header),
        state=draft_state(header.all(DRAFT_FIELD.lower())),
    )


def _addresses(header: Header, name: str) -> tuple[EmailAddress, ...]:
    entries = parse_address_entries(header.all(name), limit=RECIPIENTS_MAX)
    return tuple(EmailAddress(entry.name, entry.address) for entry in entries if entry.address)


def _own_headers(header: Header) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in header.fields:
        text = one_line(decode_field(value), limit=HEADER_VALUE_MAX_CHARS)
        if len(found) < HEADERS_MAX and text and is_settable(name, text):
            found.setdefault(name, text)
    return found
