"""Selection of the text, HTML and attachments of a mail among its parts (RFC 8621 §4.1.4).

Differences from the RFC: inline images, audio and video are attachments; a blank alternative counts
as absent; HTML source labelled text/plain is treated as HTML.
Never raises. Texts are cut at TEXT_MAX_CHARS.
"""

from dataclasses import dataclass, field

from mail.html.text_extraction import preformatted, to_text
from mail.mime.charsets import decode_text
from mail.mime.format_flowed import unflow
from mail.mime.parts import MimePart
from mail.text_cleaning import lines

TEXT_MAX_CHARS = 4 * 1024 * 1024
BYTES_PER_CHAR_MAX = 4
_BLANK_SAMPLE_CHARS = 64 * 1024
_HTML_STARTS = (b"<!doctype html", b"<html")
_HTML_START_BYTES = 1024
_SIGNATURES = frozenset({
    "application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature",
})  # fmt: skip


@dataclass(slots=True)
class BodyParts:
    """Leaves in order. A leaf without an alternative is in both `text` and `html`."""

    text: list[MimePart] = field(default_factory=list)
    html: list[MimePart] = field(default_factory=list)
    attachments: list[MimePart] = field(default_factory=list)

    @property
    def has_attachments(self) -> bool:
        """Whether users see an attachment: inline images and signatures do not count."""
        return any(not _is_hidden(part) for part in self.attachments)

    @property
    def has_html(self) -> bool:
        return any(part.content_type == "text/html" for part in self.html)


def select(root: MimePart) -> BodyParts:
    """Select the parts by the algorithm of RFC 8621 §4.1.4."""
    body = BodyParts()
    _select(
        _Destinations(body.text, body.html, body.attachments), [root], kind="mixed", within=False
    )
    for part in body.text:
        if part.content_type == "text/plain" and _is_html_source(part):
            part.content_type = "text/html"
    return body


@dataclass(slots=True)
class _Destinations:
    """The lists that leaves of the current branch are added to.

    None: the branch belongs to the alternative of the other kind.
    """

    text: list[MimePart] | None
    html: list[MimePart] | None
    attachments: list[MimePart]


def _select(destinations: _Destinations, parts: list[MimePart], *, kind: str, within: bool) -> None:
    """Sort the parts of a multipart/`kind`. `within`: an ancestor is multipart/alternative."""
    text_before, html_before = len(destinations.text or ()), len(destinations.html or ())
    for index, part in enumerate(parts):
        if part.is_multipart:
            inner = part.content_type.partition("/")[2]
            branch = _Destinations(destinations.text, destinations.html, destinations.attachments)
            alternative = inner == "alternative"
            _select(branch, part.children, kind=inner, within=within or alternative)
        elif not _is_body(part, index, kind):
            destinations.attachments.append(part)
        else:
            _add_body_part(destinations, part, kind=kind, within=within)
            if part.filename and kind == "mixed":
                destinations.attachments.append(part)  # displayed, and also a file
    if kind == "alternative" and destinations.text is not None and destinations.html is not None:
        _fill_missing_kind(destinations.text, destinations.html, text_before, html_before)


def _add_body_part(destinations: _Destinations, part: MimePart, *, kind: str, within: bool) -> None:
    is_html = part.content_type == "text/html"
    if kind == "alternative":
        chosen = destinations.html if is_html else destinations.text
        if chosen is not None:
            chosen.append(part)
        return
    if within and is_html:
        destinations.text = None
    elif within:
        destinations.html = None
    for leaves in (destinations.text, destinations.html):
        if leaves is not None:
            leaves.append(part)


def _fill_missing_kind(
    text: list[MimePart], html: list[MimePart], text_before: int, html_before: int
) -> None:
    """Use the only kind of an alternative as both kinds; blank text counts as absent."""
    new_text, new_html = text[text_before:], html[html_before:]
    if not new_html:
        html += new_text
    elif all(map(_is_blank, new_text)):
        text[text_before:] = new_html


def _is_blank(part: MimePart) -> bool:
    """Whether the first _BLANK_SAMPLE_CHARS of the part have no visible character."""
    text = _text(part, _BLANK_SAMPLE_CHARS)
    return not any(character.isprintable() and not character.isspace() for character in text)


def _is_html_source(part: MimePart) -> bool:
    beginning = part.decode()[:_HTML_START_BYTES].removeprefix(b"\xef\xbb\xbf")
    return beginning.lstrip().lower().startswith(_HTML_STARTS)


def _is_body(part: MimePart, index: int, kind: str) -> bool:
    if part.attached or part.content_type not in {"text/plain", "text/html"}:
        return False
    return index == 0 or (kind != "related" and not part.filename)


def _is_hidden(part: MimePart) -> bool:
    inline_picture = part.content_id and part.content_type.startswith("image/")
    return bool(inline_picture and not part.attached) or part.content_type in _SIGNATURES


def text_of(parts: list[MimePart], *, limit: int = TEXT_MAX_CHARS) -> str:
    """Return the parts as one text of at most `limit` characters."""
    texts: list[str] = []
    for part in parts:
        left = limit - sum(map(len, texts))
        if left <= 0:
            break
        texts.append(_text(part, left))
    return "\n\n".join(text for text in texts if text)[:limit]


def html_of(parts: list[MimePart], *, limit: int = TEXT_MAX_CHARS) -> str:
    """Return the parts as one HTML text, not sanitised; plain text parts become <pre>."""
    return "\n".join(
        _decoded(part, limit)
        if part.content_type == "text/html"
        else preformatted(_text(part, limit))
        for part in parts
    )[:limit]


def _text(part: MimePart, limit: int) -> str:
    if part.content_type == "text/html":
        return to_text(_decoded(part, limit * 8), limit=limit)
    text = _decoded(part, limit)
    return unflow(text, delete_space=part.delete_space) if part.flowed else text


def _decoded(part: MimePart, limit: int) -> str:
    octets = part.decode()[: limit * BYTES_PER_CHAR_MAX]
    return lines(
        decode_text(octets, part.charset, fallback_charset=part.fallback_charset).removeprefix(
            "\ufeff"
        ),
        limit=limit,
    )
