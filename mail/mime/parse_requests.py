"""Requests and responses of a parser: serialisable, so that a parser may run in a child process.

`run_request` runs one operation in the calling process.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from mail.errors import NotFound
from mail.html.features import HtmlFeatures, features_of
from mail.html.plain_text_view import has_quotation, text_view
from mail.html.remote_images import RemoteImages
from mail.html.sanitizer import is_within_limits, sanitise, sanitise_outgoing, sanitise_viewed
from mail.html.view_document import ViewDocument, view_document
from mail.mime.message_parser import (
    Attachment,
    OutlinedHead,
    ParsedMessage,
    SearchableText,
    all_attachments,
    attachment,
    every_attachment,
    read_head,
    read_mail,
    read_outlined_head,
    read_words,
)
from mail.mime.outline.builder import bare_outline, outline_of
from mail.mime.passive_types import preview_of
from schemas.mail import HeaderSummary
from schemas.outline import MailOutline

ParseOperation = Literal[
    "head",
    "outlined_head",
    "outline",
    "shown",
    "viewed",
    "editable",
    "words",
    "attachment",
    "files",
    "forms",
]
TEXT_MAX_CHARS = 2 * 1024 * 1024  # of each text for display

# A mail with more of these is not `is_quick`.
DELIMITERS_MAX = 200  # lines that may be MIME delimiters
WORD_MARKS_MAX = 200  # possible starts of encoded words
TAGS_MAX = 2_000


class FormSizes(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of the forms, which are sent as one sequence of octets.

    Not `whole`: forms may be missing.
    """

    sizes: tuple[int, ...] = ()
    whole: bool = True


class AttachmentList(msgspec.Struct, frozen=True, kw_only=True):
    """All attachments; their octets are sent as one sequence, in this order."""

    attachments: tuple[Attachment, ...] = ()


ParseResponse = (
    HeaderSummary
    | OutlinedHead
    | MailOutline
    | ParsedMessage
    | ViewDocument
    | SearchableText
    | FormSizes
    | AttachmentList
    | Attachment
    | None
)  # None: no such attachment


class ParseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One operation on one mail. `raw`: ignore the MIME structure."""

    operation: ParseOperation
    raw: bool = False
    n: int = 0
    text_max_chars: int = 0
    remote_images: bool = False  # of `viewed`


def run_request(request: ParseRequest, content: bytes) -> tuple[ParseResponse, bytes]:
    """Return the response, and the octets of the attachment or of all forms."""
    if request.operation == "forms":
        if request.raw:  # a parser with larger limits may find forms that are not known here
            return FormSizes(whole=False), b""
        forms = read_forms(content, text_max_chars=request.text_max_chars)
        return FormSizes(sizes=tuple(map(len, forms))), b"".join(forms)
    if request.operation == "files":
        attachments, files = all_attachments(content, raw=request.raw)
        return AttachmentList(attachments=attachments), b"".join(files)
    if request.operation == "attachment":
        try:
            return attachment(content, request.n, raw=request.raw)
        except NotFound:
            return None, b""
    return _READ[request.operation](request, content), b""


def read_shown(content: bytes, *, text_max_chars: int, raw: bool = False) -> ParsedMessage:
    """Return the message of read_mail with sanitised HTML.

    The text has at most `text_max_chars` + 1 characters: with the last one it has been cut.
    """
    message = read_mail(content, raw=raw)
    html = None if message.html is None else sanitise(message.html[:text_max_chars])
    text = message.text[: text_max_chars + 1]
    features = _features(message, text_max_chars)
    return msgspec.structs.replace(message, text=text, html=html, features=features)


def _features(message: ParsedMessage, text_max_chars: int) -> HtmlFeatures:
    """Return the features of what `read_viewed` displays."""
    if message.html is None:
        return HtmlFeatures(quoted=has_quotation(message.text[:text_max_chars]))
    html = message.html[:text_max_chars]
    return features_of(html) if is_within_limits(html) else HtmlFeatures()


def read_viewed(
    content: bytes, *, text_max_chars: int, remote_images: bool = False, raw: bool = False
) -> ViewDocument:
    """Return the view document of a mail; its HTML, else its text, is cut at `text_max_chars`.

    Images of the mail are links relative to the message resource, and so are remote images if
    `remote_images` asks for them; the document has their URLs.
    """
    message = read_mail(content, raw=raw)
    source = message.text if message.html is None else message.html
    shown, remote = source[:text_max_chars], RemoteImages()
    if message.html is None:
        body = text_view(shown)
    else:
        body = sanitise_viewed(shown, _images(message), remote if remote_images else None)
    document = view_document(
        body,
        title=message.head.subject,
        own_colours=_features(message, text_max_chars).own_colours,
        is_cut=len(source) > text_max_chars,
    )
    return msgspec.structs.replace(document, remote_images=remote.urls)


def _images(message: ParsedMessage) -> dict[str, str]:
    """Return the URL of each image that browsers may display, by its Content-ID."""
    return {
        part.content_id: f"attachments/{part.n}?inline=true"
        for part in message.attachments
        if part.content_id and preview_of(part.content_type) == "image"
    }


def read_editable(content: bytes, *, raw: bool = False) -> ParsedMessage:
    """Return the message of read_mail with HTML for an editor: safe, with the mail's own images.

    Neither text nor HTML is cut below the limits of read_mail.
    """
    message = read_mail(content, raw=raw)
    if message.html is None:
        return message
    ids = {part.content_id: part.content_id for part in message.attachments if part.content_id}
    return msgspec.structs.replace(message, html=sanitise_outgoing(message.html, ids).html)


def read_forms(content: bytes, *, text_max_chars: int) -> list[bytes]:
    """Return the forms of a mail: all octets that clients can download besides the mail itself.

    Forms are the attachments, and the text and sanitised HTML unless the mail contains them
    verbatim. Every form is returned once. A scanner of the mail and its forms has scanned all
    octets that clients receive.
    """
    forms = dict.fromkeys(every_attachment(content))
    message = read_shown(content, text_max_chars=text_max_chars)
    plain = content.replace(b"\r\n", b"\n")
    for text in (message.text, message.html or ""):
        octets = text.encode()
        if octets.strip() not in plain:
            forms[octets] = None
    return [form for form in forms if form and form != content]


_READ: dict[str, Callable[[ParseRequest, bytes], ParseResponse]] = {
    "head": lambda request, content: read_head(content, raw=request.raw),
    "outlined_head": lambda request, content: read_outlined_head(content, raw=request.raw),
    "outline": lambda request, content: outline_of(content, raw=request.raw),
    "words": lambda request, content: read_words(content, raw=request.raw),
    "editable": lambda request, content: read_editable(content, raw=request.raw),
    "shown": lambda request, content: read_shown(
        content, text_max_chars=request.text_max_chars, raw=request.raw
    ),
    "viewed": lambda request, content: read_viewed(
        content,
        text_max_chars=request.text_max_chars,
        remote_images=request.remote_images,
        raw=request.raw,
    ),
}


def failed_response(operation: ParseOperation, size_bytes: int) -> ParseResponse:
    """Return the response for a mail that cannot be parsed within the limits, not even raw."""
    failed, outline = HeaderSummary(parse_failed=True), bare_outline(size_bytes)
    nothing = ParsedMessage(head=failed, headers=(), text="", html=None, attachments=())
    responses: dict[ParseOperation, ParseResponse] = {
        "head": failed,
        "outlined_head": OutlinedHead(failed, outline),
        "outline": outline,
        "words": SearchableText("", ()),
        "forms": FormSizes(whole=False),
        "files": AttachmentList(),
        "shown": nothing,
        "viewed": view_document("", title="", is_cut=True),
        "editable": nothing,
    }
    return responses.get(operation)


def is_quick(content: bytes, max_bytes: int) -> bool:
    """Whether `content` is small and simple enough to be parsed within milliseconds."""
    return (
        len(content) <= max_bytes
        and content.count(b"\n--") <= DELIMITERS_MAX
        and content.count(b"=?") <= WORD_MARKS_MAX
        and content.count(b"<") <= TAGS_MAX
    )
