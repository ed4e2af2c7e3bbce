"""The bodies that we answer, and how a message row becomes one."""

from typing import Annotated, Any

import msgspec
from aiohttp import web

from mail.clock import rfc3339
from schemas.mail import EmailAddress, Hop
from schemas.mailbox import FOLDERS, Message, is_flagged, is_unread
from schemas.mailbox import Folder as FolderRow

Timestamp = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class AddressResource(msgspec.Struct, frozen=True):
    """Either may be empty in broken mail."""

    name: str
    address: str


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    token: str
    expires_at: Timestamp


class FolderResource(msgspec.Struct, frozen=True, kw_only=True):
    """`role` of the standard ones (RFC 6154); "" for the owner's, which may lie in others."""

    id: str
    name: str
    role: str
    parent_id: str | None
    total: int
    unread: int


class FolderList(msgspec.Struct, frozen=True, kw_only=True):
    folders: list[FolderResource]


class MessageSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A message as lists show it.

    `date` is what its Date field claims, null when that is missing or cannot be read; lists are in
    the order of `received_at`.
    """

    id: str
    mail_id: str
    thread_id: str
    folder_ids: list[str]
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


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    messages: list[MessageSummary]
    next_cursor: str | None


class UidMessage(MessageSummary, frozen=True, kw_only=True):
    uid: int  # in the folder whose list this is


class UidPage(msgspec.Struct, frozen=True, kw_only=True):
    """By uid (RFC 9051 §2.3.1.1). Another `uidvalidity` than before: what was kept is void.

    It is the epoch of the service, the same for all folders: a restore gives uids again.
    """

    uidvalidity: int
    next_uid: int
    messages: list[UidMessage]


class Highlights(msgspec.Struct, frozen=True, kw_only=True):
    """Safe to show as HTML, matches between <mark> and </mark> (RFC 8621 §5); null: no match."""

    subject: str | None
    preview: str | None


class FoundMessage(MessageSummary, frozen=True, kw_only=True):
    highlights: Highlights


class SearchPage(msgspec.Struct, frozen=True, kw_only=True):
    """There are `total` hits; that many or more when `total_is_exact` is false."""

    messages: list[FoundMessage]
    total: int
    total_is_exact: bool
    next_cursor: str | None


class HeaderField(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    value: str


class AttachmentInfo(msgspec.Struct, frozen=True, kw_only=True):
    n: int
    filename: str
    content_type: str
    size_bytes: int


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


class MessageDetail(MessageSummary, frozen=True, kw_only=True):
    """A message as it is read; `html` is sanitised, and null when the mail has none."""

    cc: list[AddressResource]
    reply_to: list[AddressResource]
    message_id: str
    in_reply_to: list[str]
    references: list[str]
    headers: list[HeaderField]
    text: str
    html: str | None
    attachments: list[AttachmentInfo]
    spam: SpamResource
    unchecked: list[str]  # what no scanner looked into: `encrypted`, `parts`
    hops: list[HopInfo]


class CommandAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The change is durable and not applied yet; `location` shows it once it is."""

    status: str = "accepted"
    location: str


class Health(msgspec.Struct, frozen=True, kw_only=True):
    status: str = "ok"


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    status: str  # ready | not ready


def folder_ids(places: dict[str, int]) -> list[str]:
    return sorted(places, key=_folder_order)


def _folder_order(folder_id: str) -> tuple[int, str]:
    """Standard folders in their order, then the owner's."""
    return (FOLDERS.index(folder_id) if folder_id in FOLDERS else len(FOLDERS)), folder_id


def json_answer(
    body: msgspec.Struct, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        headers={"Content-Type": "application/json", **(headers or {})},
    )


def address(mailbox: EmailAddress | None) -> AddressResource:
    return AddressResource(mailbox.name, mailbox.address) if mailbox else AddressResource("", "")


def addresses(mailboxes: tuple[EmailAddress, ...]) -> list[AddressResource]:
    return [AddressResource(one.name, one.address) for one in mailboxes]


def summary(row: Message) -> MessageSummary:
    head = row.head
    return MessageSummary(
        id=row.message_id,
        mail_id=row.mail_id,
        thread_id=row.thread_id,
        folder_ids=folder_ids(row.places),
        created_seq=row.created_seq,
        changed_seq=row.changed_seq,
        keywords=list(row.keywords),
        sender=address(head.sender),
        to=addresses(head.to),
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


def _date(at_ms: int | None) -> str | None:
    """None also outside the years 1 to 9999, which RFC 3339 cannot write."""
    try:
        return None if at_ms is None else rfc3339(at_ms)
    except (ValueError, OverflowError):
        return None


def shared_of(short: MessageSummary) -> dict[str, Any]:
    """Its fields, for the bodies that have more."""
    return {name: getattr(short, name) for name in MessageSummary.__struct_fields__}


def folder(one: FolderRow) -> FolderResource:
    counts = one.counts
    return FolderResource(
        id=counts.id,
        name=one.name,
        role=one.role,
        parent_id=one.parent_id or None,
        total=counts.total,
        unread=counts.unread,
    )


def hop(one: Hop) -> HopInfo:
    return HopInfo(
        stage=one.stage,
        started_at=rfc3339(one.started_at_ms),
        took_ms=one.took_ms,
        verdict=one.verdict,
        attempt=one.attempt,
        worker=one.worker,
    )
