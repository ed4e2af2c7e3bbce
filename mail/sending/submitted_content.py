"""Content of a mail that a mail program submits (RFC 6409): checks, and the fields that are ours.

A header that readers could understand in two ways is refused and not repaired. Added are Received,
and Date and Message-ID if they are missing (RFC 6409 §8). Removed are Return-Path (RFC 5321 §4.4),
results of authentication (RFC 8601 §5) and fields of drafts, and from the recipients' content Bcc.
Received does not name the client: recipients need not learn where and by what a user writes.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from mail.composing.sent_copies import DRAFT_FIELD, for_recipients, without_fields
from mail.mime.address_list_parser import parse_address_list
from mail.sending.mailbox_syntax import mailboxes
from mail.sending.sendable_content import ContentCheck, NotSendable
from schemas.ids import MailId

HEADER_MAX_BYTES = 256 * 1024
FIELDS_MAX = 1_000
RECEIVED_MAX = 100  # RFC 5321 §6.3: more are a loop
_CHUNK_BYTES = 256 * 1024
_FIELD = re.compile(rb"([!-9;-~]{1,997}):([^\r\n]*(?:\r\n[ \t][^\r\n]*)*+)\r\n")
_ONCE = ("from", "sender", "date", "message-id", "subject", "reply-to")  # RFC 5322 §3.6
_SENDERS = ("from", "sender", "resent-from", "resent-sender")
_NOT_SENT = ("Return-Path", "Authentication-Results", DRAFT_FIELD)
_BCC = ("Bcc", "Resent-Bcc")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedContent:
    """The octets for recipients and for the folder Sent, and what the header says of senders."""

    octets: bytes
    sent_copy: bytes | None  # with Bcc; None: the same octets
    senders: tuple[str, ...]  # every address that the header names as a sender
    is_header_ascii: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedFields:
    """What the fields that a server adds are made of."""

    mail_id: MailId
    hostname: str
    protocol: str  # RFC 3848
    domain: str  # of a Message-ID
    at_ms: int


def submitted_content(octets: bytes, added: AddedFields) -> SubmittedContent:
    """Check a mail and make its contents. Takes linear time. Raises NotSendable."""
    octets = _checked(octets)
    fields, body_start = _fields(octets)
    header = octets[:body_start]
    if body_start == len(octets):
        octets += b"\r\n"  # the empty line that ends a header
    senders = _check_fields(fields)
    kept = without_fields(octets, *_NOT_SENT)
    ours = _added(fields, added)
    has_bcc = not fields.keys().isdisjoint(name.lower() for name in _BCC)
    sent = for_recipients(without_fields(kept, *_BCC) if has_bcc else kept)
    return SubmittedContent(
        octets=ours + sent,
        sent_copy=ours + kept if has_bcc else None,
        senders=senders,
        is_header_ascii=header.isascii(),
    )


def _checked(octets: bytes) -> bytes:
    """The octets with a CRLF at the end: lines and octets may be sent. Raises NotSendable."""
    check = ContentCheck(eight_bit=True)
    for start in range(0, len(octets), _CHUNK_BYTES):
        check.feed(octets[start : start + _CHUNK_BYTES])
    return octets + check.finish()


def _fields(octets: bytes) -> tuple[dict[str, list[bytes]], int]:
    """The unfolded values of the header's fields by lower-case name, and where the header ends.

    Raises NotSendable: a line is no field, or a limit is exceeded.
    """
    fields: dict[str, list[bytes]] = {}
    position = count = 0
    while match := _FIELD.match(octets, position, HEADER_MAX_BYTES):
        fields.setdefault(match[1].decode("ascii").lower(), []).append(
            match[2].replace(b"\r\n", b"").strip()
        )
        position, count = match.end(), count + 1
        if count > FIELDS_MAX:
            raise NotSendable(f"the header has more than {FIELDS_MAX} fields", "5.3.4")
    if octets.startswith(b"\r\n", position) or position == len(octets):
        return fields, position
    if octets.find(b"\r\n\r\n", position, HEADER_MAX_BYTES) < 0 and len(octets) > HEADER_MAX_BYTES:
        raise NotSendable(f"the header has more than {HEADER_MAX_BYTES} octets", "5.3.4")
    line = octets.count(b"\r\n", 0, position) + 1
    raise NotSendable(f"line {line} of the header is no field (RFC 5322 section 2.2)")


def _check_fields(fields: dict[str, list[bytes]]) -> tuple[str, ...]:
    """The addresses of all senders. Raises NotSendable."""
    if len(fields.get("from", ())) != 1:
        raise NotSendable("a mail has exactly one From field")
    for name in _ONCE:
        if len(fields.get(name, ())) > 1:
            raise NotSendable(f"a mail has at most one {name.title()} field")
    if len(fields.get("received", ())) > RECEIVED_MAX:
        raise NotSendable(f"routing loop: more than {RECEIVED_MAX} Received fields", "5.4.6")
    for name, values in fields.items():
        for value in values:
            _check_utf8(name, value)
    named = [(name.title(), value) for name in _SENDERS for value in fields.get(name, ())]
    strict = [address for name, value in named for address in mailboxes(name, value)]
    shown = parse_address_list([value for _, value in named])  # as readers here will show them
    return tuple(dict.fromkeys((*strict, *(each.address for each in shown if each.address))))


def _check_utf8(name: str, value: bytes) -> None:
    """Raises NotSendable: octets beyond ASCII that are not UTF-8 (RFC 6532 §3)."""
    try:
        value.decode()
    except UnicodeDecodeError:
        raise NotSendable(f"{name.title()} is not UTF-8") from None


def _added(fields: dict[str, list[bytes]], added: AddedFields) -> bytes:
    """Received, and Date and Message-ID if the mail has none."""
    date = format_datetime(datetime.fromtimestamp(added.at_ms // 1000, UTC))
    lines = [f"Received: by {added.hostname} with {added.protocol}", f"\tid {added.mail_id};"]
    lines.append(f"\t{date}")
    if "date" not in fields:
        lines.append(f"Date: {date}")
    if "message-id" not in fields:
        lines.append(f"Message-ID: <{added.mail_id}@{added.domain}>")
    return "".join(f"{line}\r\n" for line in lines).encode()
