"""Parser of a whole mail (RFC 5322, MIME): summary, outline, message for display, attachments.

Accepts any octets and never raises for malformed input: a mail that cannot be parsed is marked
`parse_failed` and returned as raw text. All text is valid Unicode without control characters and
has a limit. mail/mime/charsets.py decodes wrong, missing and cut charsets.
Takes microseconds for a common mail and up to seconds for a malicious mail of 20 MB: callers parse
large contents outside the event loop (parsing/).
"""

import logging
from collections.abc import Callable
from typing import TypeVar

import msgspec

from mail.errors import NotFound
from mail.html.features import NO_FEATURES, HtmlFeatures
from mail.mime import body_selection as body
from mail.mime.address_list_parser import parse_address_list
from mail.mime.encoded_words import decode_field
from mail.mime.header_fields import Header, read_header
from mail.mime.outline.builder import outline_of
from mail.mime.part_tree import walk_tree
from mail.mime.parts import MimePart, PartTree
from mail.text_cleaning import one_line
from schemas.mail import EmailAddress, HeaderSummary
from schemas.outline import MailOutline

SUBJECT_MAX_CHARS = 998
PREVIEW_MAX_CHARS = 200
PREVIEW_SOURCE_CHARS = 16 * 1024
HEADER_NAME_MAX_CHARS = 100
HEADER_VALUE_MAX_CHARS = 8 * 1024
HEADERS_MAX = 1_000
WORDS_MAX_CHARS = 256 * 1024
WORDS_HEADERS_MAX = 200  # fields of a header that are searchable
WORDS_HEADER_MAX_CHARS = 4 * 1024  # of one field
WORDS_HEADERS_MAX_CHARS = 32 * 1024  # of all of them

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
    """The `n`th attachment of a mail, from 1; the size is of the decoded octets."""

    n: int
    filename: str
    content_type: str
    size_bytes: int
    content_id: str = ""
    attached: bool = False  # Content-Disposition: attachment (RFC 2183)


def is_inline_image(part: Attachment) -> bool:
    """Whether `part` is an image of the HTML, not a file that its sender attached."""
    return bool(part.content_id) and not part.attached and part.content_type.startswith("image/")


class ParsedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a mail for display."""

    head: HeaderSummary
    headers: tuple[tuple[str, str], ...]
    text: str
    html: str | None  # from read_mail: not sanitised (mail/html/sanitizer.py)
    attachments: tuple[Attachment, ...]
    features: HtmlFeatures = NO_FEATURES  # of the HTML, or of the text without HTML


class SearchableText(msgspec.Struct, frozen=True):
    """What the search index needs of a mail besides its HeaderSummary."""

    text: str
    filenames: tuple[str, ...]
    headers: tuple[tuple[str, str], ...] = ()  # name in lower case, decoded value; in order
    authors: tuple[EmailAddress, ...] = ()  # every mailbox of From
    bcc: tuple[EmailAddress, ...] = ()
    sent_day: int | None = None  # day of Date in its own zone, from 1970-01-01; None: no valid Date


class OutlinedHead(msgspec.Struct, frozen=True):
    """The header summary and the outline of a mail, made from one parsed header."""

    head: HeaderSummary
    outline: MailOutline


class _Mail(msgspec.Struct, frozen=True):
    header: Header
    body: body.BodyParts
    failed: bool


def read_head(content: bytes, *, raw: bool = False) -> HeaderSummary:
    """Return the summary for lists, notifications and search; decodes no attachment."""
    return _read(content, _head, raw=raw)


def read_outlined_head(content: bytes, *, raw: bool = False) -> OutlinedHead:
    """Return the results of read_head and outline_of."""

    def both(mail: _Mail) -> OutlinedHead:
        return OutlinedHead(_head(mail), outline_of(content, raw=raw, header=mail.header))

    return _read(content, both, raw=raw)


def read_mail(content: bytes, *, raw: bool = False) -> ParsedMessage:
    """Return the message for display; attachments without their octets."""
    return _read(content, _message, raw=raw)


def read_words(content: bytes, *, raw: bool = False) -> SearchableText:
    """Return the first WORDS_MAX_CHARS of text, names of attachments, and fields of the header."""
    return _read(content, _words, raw=raw)


def attachment(content: bytes, n: int, *, raw: bool = False) -> tuple[Attachment, bytes]:
    """Return the `n`th attachment and its octets.

    Raises NotFound: the mail has fewer attachments.
    """

    def pick(mail: _Mail) -> tuple[Attachment, bytes] | None:
        listed = _attachments(mail)  # decodes all, so that the numbers equal those of read_mail
        if not 1 <= n <= len(listed):
            return None
        return listed[n - 1], mail.body.attachments[n - 1].decode()

    picked = _read(content, pick, raw=raw)
    if picked is None:
        raise NotFound("no such attachment")
    return picked


def all_attachments(
    content: bytes, *, raw: bool = False
) -> tuple[tuple[Attachment, ...], list[bytes]]:
    """Return every attachment and the octets of each, in the order of `attachment`."""

    def pick(mail: _Mail) -> tuple[tuple[Attachment, ...], list[bytes]]:
        listed = _attachments(mail)
        return listed, [part.decode() for part in mail.body.attachments[: len(listed)]]

    return _read(content, pick, raw=raw)


def every_attachment(content: bytes, *, raw: bool = False) -> list[bytes]:
    """Return the octets of all attachments, in the order of `attachment`."""
    return all_attachments(content, raw=raw)[1]


def _read(content: bytes, use: Callable[[_Mail], T], *, raw: bool) -> T:
    """Return `use(mail)`; with `raw`, or if parsing fails, `use` of the mail without MIME parts."""
    header = read_header(content)
    failed = not header.complete or not header.fields
    try:
        if not raw:
            tree = walk_tree(content, header)
            header.charset = tree.charset
            return use(_Mail(header, body.select(tree.root), failed or not tree.complete))
    except Exception as error:  # noqa: BLE001  # a malformed mail must not fail its callers
        log.warning("a mail could not be parsed and is shown raw: %s", type(error).__name__)
    return use(_Mail(header, body.select(_raw_tree(content, header).root), failed=True))


def _raw_tree(content: bytes, header: Header) -> PartTree:
    return PartTree(
        MimePart(content_type="text/plain", decode=lambda: content[header.body_start :])
    )


def _head(mail: _Mail) -> HeaderSummary:
    header = mail.header
    senders = parse_address_list(header.all("from"), fallback_charset=header.charset)
    return HeaderSummary(
        subject=header.text("subject", limit=SUBJECT_MAX_CHARS),
        sender=next((sender for sender in senders if sender.address), next(iter(senders), None)),
        to=parse_address_list(header.all("to"), fallback_charset=header.charset),
        cc=parse_address_list(header.all("cc"), fallback_charset=header.charset),
        reply_to=parse_address_list(header.all("reply-to"), fallback_charset=header.charset),
        message_id=next(iter(header.ids("message-id")), ""),
        in_reply_to=header.ids("in-reply-to"),
        references=header.ids("references"),
        date_ms=header.date_ms(),
        preview=_preview(mail.body),
        has_attachments=mail.body.has_attachments,
        parse_failed=mail.failed,
    )


def _preview(parts: body.BodyParts) -> str:
    text = body.text_of(parts.text, limit=PREVIEW_SOURCE_CHARS)
    return one_line(text, limit=PREVIEW_MAX_CHARS)


def _message(mail: _Mail) -> ParsedMessage:
    parts = mail.body
    return ParsedMessage(
        head=_head(mail),
        headers=tuple(
            _header_text(name, value, mail.header.charset)
            for name, value in mail.header.fields[:HEADERS_MAX]
        ),
        text=body.text_of(parts.text),
        html=body.html_of(parts.html) if parts.has_html else None,
        attachments=_attachments(mail),
    )


def _words(mail: _Mail) -> SearchableText:
    parts = mail.body
    text = body.text_of(parts.text, limit=WORDS_MAX_CHARS)
    html_parts = [part for part in parts.html if part not in parts.text]
    if html_parts and len(text) < WORDS_MAX_CHARS:
        text = _with_missing_lines(text, body.text_of(html_parts, limit=WORDS_MAX_CHARS))
    names = (part.filename for part in parts.attachments)
    return SearchableText(
        text=text[:WORDS_MAX_CHARS],
        filenames=tuple(name for name in names if name),
        headers=_searched_headers(mail.header),
        authors=parse_address_list(mail.header.all("from"), fallback_charset=mail.header.charset),
        bcc=parse_address_list(mail.header.all("bcc"), fallback_charset=mail.header.charset),
        sent_day=mail.header.date_day(),
    )


def _searched_headers(header: Header) -> tuple[tuple[str, str], ...]:
    """Return the first fields, within the limits of what is searchable."""
    fields, left_chars = [], WORDS_HEADERS_MAX_CHARS
    for name, value in header.fields[:WORDS_HEADERS_MAX]:
        text = decode_field(value[: 4 * WORDS_HEADER_MAX_CHARS], header.charset)
        text = one_line(text, limit=min(WORDS_HEADER_MAX_CHARS, left_chars))
        left_chars -= len(text)
        fields.append((name[:HEADER_NAME_MAX_CHARS].lower(), text))
    return tuple(fields)


def _with_missing_lines(text: str, html_text: str) -> str:
    """Append to the plain text each line of the HTML with a word that the plain text lacks.

    Some senders write less into the plain text than into the HTML, or only a note about the HTML.
    """
    words = set(text.split())
    missing = (line for line in html_text.split("\n") if not words.issuperset(line.split()))
    return "\n".join((text, *missing))


def _header_text(name: str, value: bytes, charset: str) -> tuple[str, str]:
    text = decode_field(value[: 4 * HEADER_VALUE_MAX_CHARS], charset)
    return name[:HEADER_NAME_MAX_CHARS], one_line(text, limit=HEADER_VALUE_MAX_CHARS)


def _attachments(mail: _Mail) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(
            n,
            part.filename or _generated_name(n, part),
            part.content_type,
            len(part.decode()),
            part.content_id,
            part.attached,
        )
        for n, part in enumerate(mail.body.attachments, start=1)
    )


def _generated_name(n: int, part: MimePart) -> str:
    """Return a name for an attachment without a name, with the usual extension of its type."""
    return f"attachment-{n}{_EXTENSIONS.get(part.content_type, '')}"
