"""A mail's octets read: what lists show (Head), what a reader sees (Reading), what is attached.

Nothing here raises on any octets: what cannot be read is marked `parse_failed` and shown raw.
All text is valid Unicode without control characters, and bounded. Octets that are cut off in a
character, charsets that lie, undeclared 8-bit: the best reading that mail/mime/charsets.py knows.
Takes microseconds for a common mail and up to seconds for a hostile one of 20 MB: callers leave
the event loop when the content is big.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

import msgspec

from mail.errors import NotFound
from mail.mime import body_selection as body
from mail.mime.address_list_parser import read_mailboxes
from mail.mime.encoded_words import decoded
from mail.mime.header_fields import Header, read_header
from mail.mime.part_tree import walk_tree
from mail.mime.parts import MimePart, PartTree
from mail.text_cleaning import one_line
from schemas.mail import HeaderSummary

SUBJECT_MAX_CHARS = 998
PREVIEW_MAX_CHARS = 200
PREVIEW_LOOKS_AT_CHARS = 16 * 1024
HEADER_NAME_MAX_CHARS = 100
HEADER_VALUE_MAX_CHARS = 8 * 1024
HEADERS_SHOWN = 1_000
WORDS_MAX_CHARS = 256 * 1024

log = logging.getLogger(__name__)
_EXTENSIONS = {
    "application/ics": ".ics", "application/json": ".json", "application/pdf": ".pdf",
    "application/zip": ".zip", "audio/mpeg": ".mp3", "image/gif": ".gif", "image/jpeg": ".jpg",
    "image/png": ".png", "image/webp": ".webp", "message/delivery-status": ".txt",
    "message/rfc822": ".eml", "text/calendar": ".ics", "text/csv": ".csv", "text/html": ".html",
    "text/plain": ".txt", "text/vcard": ".vcf", "text/x-vcalendar": ".ics", "text/x-vcard": ".vcf",
    "text/xml": ".xml", "video/mp4": ".mp4",
}  # fmt: skip

T = TypeVar("T")


class Attachment(msgspec.Struct, frozen=True):
    """The `n`th attachment of a mail, from 1; the size is that of the decoded octets."""

    n: int
    filename: str
    content_type: str
    size_bytes: int


class ParsedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """All that a reader is shown."""

    head: HeaderSummary
    headers: tuple[tuple[str, str], ...]
    text: str
    html: str | None  # not yet safe: mail/html/sanitizer.py sanitises it
    attachments: tuple[Attachment, ...]


class SearchableText(msgspec.Struct, frozen=True):
    """What search reads of a mail beyond its head."""

    text: str
    filenames: tuple[str, ...]


class _Mail(msgspec.Struct, frozen=True):
    header: Header
    body: body.BodyParts
    failed: bool


def read_head(content: bytes, *, raw: bool = False) -> HeaderSummary:
    """What lists, notices and search need; decodes no attachment."""
    return _read(content, _head, raw=raw)


def read_mail(content: bytes, *, raw: bool = False) -> ParsedMessage:
    """Everything, attachments by their size only."""
    return _read(content, _reading, raw=raw)


def read_words(content: bytes, *, raw: bool = False) -> SearchableText:
    """The text, at most WORDS_MAX_CHARS of it, and the names of what is attached."""
    return _read(content, _words, raw=raw)


def attachment(content: bytes, n: int, *, raw: bool = False) -> tuple[Attachment, bytes]:
    """The `n`th attachment and its octets. NotFound: there are fewer."""

    def pick(mail: _Mail) -> tuple[Attachment, bytes] | None:
        listed = _attachments(mail)  # decodes all, so that the numbers are those of read_mail
        if not 1 <= n <= len(listed):
            return None
        return listed[n - 1], mail.body.attachments[n - 1].decode()

    found = _read(content, pick, raw=raw)
    if found is None:
        raise NotFound("no such attachment")
    return found


def every_attachment(content: bytes, *, raw: bool = False) -> list[bytes]:
    """The octets that `attachment` gives, of all of them in their order."""

    def pick(mail: _Mail) -> list[bytes]:
        listed = _attachments(mail)  # fails where `attachment` fails
        return [part.decode() for part in mail.body.attachments[: len(listed)]]

    return _read(content, pick, raw=raw)


def _read(content: bytes, use: Callable[[_Mail], T], *, raw: bool) -> T:
    """`use` the mail; should that fail, or with `raw`, what its octets look like without parts."""
    header = read_header(content)
    failed = not header.complete or not header.fields
    try:
        if not raw:
            tree = walk_tree(content, header)
            header.charset = tree.charset
            return use(_Mail(header, body.select(tree.root), failed or not tree.complete))
    except Exception as error:  # noqa: BLE001  # a mail must not stop its readers
        log.warning("a mail could not be read and is shown raw: %s", type(error).__name__)
    return use(_Mail(header, body.select(_raw(content, header).root), failed=True))


def _raw(content: bytes, header: Header) -> PartTree:
    return PartTree(
        MimePart(content_type="text/plain", decode=lambda: content[header.body_start :])
    )


def _head(mail: _Mail) -> HeaderSummary:
    header = mail.header
    senders = read_mailboxes(header.all("from"), beside=header.charset)
    return HeaderSummary(
        subject=header.text("subject", limit=SUBJECT_MAX_CHARS),
        sender=next((one for one in senders if one.address), next(iter(senders), None)),
        to=read_mailboxes(header.all("to"), beside=header.charset),
        cc=read_mailboxes(header.all("cc"), beside=header.charset),
        reply_to=read_mailboxes(header.all("reply-to"), beside=header.charset),
        message_id=next(iter(header.ids("message-id")), ""),
        in_reply_to=header.ids("in-reply-to"),
        references=header.ids("references"),
        date_ms=header.date_ms(),
        preview=_preview(mail.body),
        has_attachments=mail.body.has_attachments,
        parse_failed=mail.failed,
    )


def _preview(parts: body.BodyParts) -> str:
    text = body.text_of(parts.text, limit=PREVIEW_LOOKS_AT_CHARS)
    return one_line(text, limit=PREVIEW_MAX_CHARS)


def _reading(mail: _Mail) -> ParsedMessage:
    parts = mail.body
    return ParsedMessage(
        head=_head(mail),
        headers=tuple(
            _shown(name, value, mail.header.charset)
            for name, value in mail.header.fields[:HEADERS_SHOWN]
        ),
        text=body.text_of(parts.text),
        html=body.html_of(parts.html) if parts.has_html else None,
        attachments=_attachments(mail),
    )


def _words(mail: _Mail) -> SearchableText:
    parts = mail.body
    text = body.text_of(parts.text, limit=WORDS_MAX_CHARS)
    shown = [part for part in parts.html if part not in parts.text]
    if shown and len(text) < WORDS_MAX_CHARS:
        text = _with_missing_lines(text, body.text_of(shown, limit=WORDS_MAX_CHARS))
    names = (part.filename for part in parts.attachments)
    return SearchableText(text[:WORDS_MAX_CHARS], tuple(name for name in names if name))


def _with_missing_lines(text: str, shown: str) -> str:
    """The plain text, and behind it each line of the HTML with a word that the plain text lacks.

    Senders put less into the plain text than their readers see, or only that there is HTML.
    """
    words = set(text.split())
    missing = (line for line in shown.split("\n") if not words.issuperset(line.split()))
    return "\n".join((text, *missing))


def _shown(name: str, value: bytes, charset: str) -> tuple[str, str]:
    text = decoded(value[: 4 * HEADER_VALUE_MAX_CHARS], charset)
    return name[:HEADER_NAME_MAX_CHARS], one_line(text, limit=HEADER_VALUE_MAX_CHARS)


def _attachments(mail: _Mail) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(
            n, part.filename or _invented_name(n, part), part.content_type, len(part.decode())
        )
        for n, part in enumerate(mail.body.attachments, start=1)
    )


def _invented_name(n: int, part: MimePart) -> str:
    """With the extension by which programs know the type, where the mail gives no name."""
    return f"attachment-{n}{_EXTENSIONS.get(part.content_type, '')}"
