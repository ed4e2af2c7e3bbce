"""What responses of several resources share: JSON encoding, timestamps, message summaries."""

from typing import Annotated, Any

import msgspec
from aiohttp import web

from mail.clock import rfc3339
from schemas.ids import FolderId, MailId, ThreadId
from schemas.mail import EmailAddress
from schemas.mailbox import FOLDERS, Message, is_flagged, is_unread

Timestamp = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class AddressResource(msgspec.Struct, frozen=True):
    """An email address; malformed mail may leave either field empty."""

    name: str
    address: str


class MessageSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A message as lists show it.

    `date` is the value of the Date field, null when the field is missing or malformed. Lists are
    ordered by `received_at`.
    """

    id: str
    mail_id: MailId
    thread_id: ThreadId
    folder_ids: list[FolderId]
    created_seq: int
    changed_seq: int
    keywords: list[str]
    sender: AddressResource = msgspec.field(name="from")
    to: list[AddressResource]
    subject: str
    preview: str
    date: Timestamp | None
    received_at: Timestamp
    size_bytes: int
    unread: bool
    flagged: bool
    has_attachments: bool
    spam_score: float


def json_response(
    body: msgspec.Struct, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        headers={"Content-Type": "application/json", **(headers or {})},
    )


def optional_timestamp(at_ms: int) -> str | None:
    """None for 0: the time was not recorded."""
    return rfc3339(at_ms) if at_ms else None


def message_summary(row: Message) -> MessageSummary:
    head = row.head
    sender = head.sender or EmailAddress(name="", address="")
    return MessageSummary(
        id=row.message_id,
        mail_id=row.mail_id,
        thread_id=row.thread_id,
        folder_ids=folder_ids(row.shown_places),
        created_seq=row.created_seq,
        changed_seq=row.changed_seq,
        keywords=list(row.keywords),
        sender=AddressResource(sender.name, sender.address),
        to=address_resources(head.to),
        subject=head.subject,
        preview=head.preview,
        date=_date(head.date_ms),
        received_at=rfc3339(row.received_at_ms),
        size_bytes=row.content.size_bytes,
        unread=is_unread(row.keywords),
        flagged=is_flagged(row.keywords),
        has_attachments=head.has_attachments,
        spam_score=row.verdict.spam_score,
    )


def summary_fields(row: Message) -> dict[str, Any]:
    """Fields of the summary of `row`, for responses that extend MessageSummary."""
    summary = message_summary(row)
    return {name: getattr(summary, name) for name in MessageSummary.__struct_fields__}


def address_resources(addresses: tuple[EmailAddress, ...]) -> list[AddressResource]:
    return [AddressResource(address.name, address.address) for address in addresses]


def folder_ids(places: dict[FolderId, int]) -> list[FolderId]:
    """Keys of `places` (folder id to uid): standard folders in their order, then the owner's."""
    return sorted(places, key=_folder_order)


def _folder_order(folder_id: FolderId) -> tuple[int, str]:
    return (FOLDERS.index(folder_id) if folder_id in FOLDERS else len(FOLDERS)), folder_id


def _date(at_ms: int | None) -> str | None:
    """RFC 3339 timestamp; None for no date or a year outside 1 to 9999."""
    try:
        return None if at_ms is None else rfc3339(at_ms)
    except (ValueError, OverflowError):
        return None
