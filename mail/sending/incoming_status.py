"""Reader of delivery status notifications that other servers send (RFC 3464).

Accepts any octets and never raises. Reads the first READ_MAX_BYTES of a mail: the status comes
before the returned mail. Nothing that it returns is proven: the address to which the notification
came says which mail it is about (reverse_path.py).
"""

import re
from dataclasses import dataclass
from typing import cast

from mail.mime.encoded_words import decode_field
from mail.mime.header_fields import Header, read_header
from mail.mime.part_tree import walk_tree
from mail.mime.parts import MimePart
from mail.sending.delivery_status import MAIL_ID_FIELD, Action
from mail.text_cleaning import one_line

READ_MAX_BYTES = 128 * 1024
RECIPIENTS_MAX = 100
FIELDS_MAX = 100  # of one group
VALUE_MAX_CHARS = 1024
_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
_EMPTY_LINES = re.compile(rb"\n{2,}")
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingRecipient:
    """What a notification says of one recipient; addresses without their type."""

    final: str
    original: str
    action: Action
    status: str  # enhanced status code; "" if it is malformed
    diagnostic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingStatus:
    """What a notification says; "" for what is missing."""

    envid: str
    reporting_mta: str
    mail_id: str  # of MAIL_ID_FIELD: a server of this kind reported
    recipients: tuple[IncomingRecipient, ...]


def read_status(content: bytes) -> IncomingStatus | None:
    """Return what a notification says; None: the mail is no multipart/report with one."""
    part = _status_part(walk_tree(content[:READ_MAX_BYTES]).root)
    if part is None:
        return None
    per_mail, *others = _groups(part.decode()[:READ_MAX_BYTES])
    recipients = [recipient for group in others if (recipient := _recipient(group))]
    return IncomingStatus(
        envid=_text(per_mail, "original-envelope-id"),
        reporting_mta=_typed(per_mail, "reporting-mta"),
        mail_id=_text(per_mail, MAIL_ID_FIELD.lower()),
        recipients=tuple(recipients),
    )


def _status_part(root: MimePart) -> MimePart | None:
    """The status of a report. One in another mail, such as a forwarded report, is not meant."""
    if root.content_type != "multipart/report":
        return None
    return next((part for part in root.children if part.content_type in _STATUS_TYPES), None)


def _groups(octets: bytes) -> list[Header]:
    """The groups of fields, which empty lines separate; at most 1 + RECIPIENTS_MAX."""
    lines = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")
    groups = _EMPTY_LINES.split(lines, maxsplit=RECIPIENTS_MAX + 1)[: RECIPIENTS_MAX + 1]
    return [read_header(group, fields_max=FIELDS_MAX) for group in groups]


def _recipient(group: Header) -> IncomingRecipient | None:
    action = _text(group, "action").lower()
    if action not in _ACTIONS:
        return None
    status = _STATUS.match(_text(group, "status"))
    return IncomingRecipient(
        final=_typed(group, "final-recipient"),
        original=_typed(group, "original-recipient"),
        action=cast("Action", action),
        status=status[0] if status else "",
        diagnostic=_text(group, "diagnostic-code"),
    )


def _typed(group: Header, name: str) -> str:
    """The value behind the type of a field such as `rfc822; bob@example.com`."""
    kind, semicolon, value = _text(group, name).partition(";")
    return (value if semicolon else kind).strip()


def _text(group: Header, name: str) -> str:
    values = group.all(name)
    return (
        one_line(decode_field(values[0][: VALUE_MAX_CHARS * 4]), limit=VALUE_MAX_CHARS)
        if values
        else ""
    )
