"""Which parts of a mail are its text, its HTML and its attachments (RFC 8621 §4.1.4).

Differences to the RFC: pictures, sound and film that stand inline are attachments here; a blank
alternative counts as absent; HTML source that says it is plain text is read as HTML.
"""

from dataclasses import dataclass, field

from mail.html.text_extraction import preformatted, to_text
from mail.mime.charsets import decode_text
from mail.mime.format_flowed import unflowed
from mail.mime.parts import MimePart
from mail.text_cleaning import lines

TEXT_MAX_CHARS = 4 * 1024 * 1024
BYTES_PER_CHAR_MAX = 4
_BLANK_LOOKS_AT_CHARS = 64 * 1024
_SOURCE_BEGINS = (b"<!doctype html", b"<html")
_SOURCE_LOOKS_AT_BYTES = 1024
_SIGNATURES = frozenset({
    "application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature",
})  # fmt: skip


@dataclass(slots=True)
class BodyParts:
    """Leaves in their order; the same leaf may be text and HTML, where there is no alternative."""

    text: list[MimePart] = field(default_factory=list)
    html: list[MimePart] = field(default_factory=list)
    attachments: list[MimePart] = field(default_factory=list)

    @property
    def has_attachments(self) -> bool:
        """Something that a reader would call attached: no inline picture, no signature."""
        return any(not _is_furniture(part) for part in self.attachments)

    @property
    def has_html(self) -> bool:
        return any(part.content_type == "text/html" for part in self.html)


def select(root: MimePart) -> BodyParts:
    """RFC 8621's algorithm."""
    body = BodyParts()
    _select(_Places(body.text, body.html, body.attachments), [root], kind="mixed", within=False)
    for part in body.text:
        if part.content_type == "text/plain" and _is_source(part):
            part.content_type = "text/html"
    return body


@dataclass(slots=True)
class _Places:
    """Where leaves go now; None: this branch is the other alternative's."""

    text: list[MimePart] | None
    html: list[MimePart] | None
    attachments: list[MimePart]


def _select(places: _Places, parts: list[MimePart], *, kind: str, within: bool) -> None:
    """Sort `parts` of a multipart/`kind`; `within` an alternative, at any depth."""
    text_before, html_before = len(places.text or ()), len(places.html or ())
    for index, part in enumerate(parts):
        if part.is_multipart:
            inner = part.content_type.partition("/")[2]
            branch = _Places(places.text, places.html, places.attachments)
            alternative = inner == "alternative"
            _select(branch, part.children, kind=inner, within=within or alternative)
        elif not _is_body(part, index, kind):
            places.attachments.append(part)
        else:
            _place(places, part, kind=kind, within=within)
            if part.filename and kind == "mixed":
                places.attachments.append(part)  # shown, and a file as well
    if kind == "alternative" and places.text is not None and places.html is not None:
        _share(places.text, places.html, text_before, html_before)


def _place(places: _Places, part: MimePart, *, kind: str, within: bool) -> None:
    is_html = part.content_type == "text/html"
    if kind == "alternative":
        chosen = places.html if is_html else places.text
        if chosen is not None:
            chosen.append(part)
        return
    if within and is_html:
        places.text = None
    elif within:
        places.html = None
    for place in (places.text, places.html):
        if place is not None:
            place.append(part)


def _share(text: list[MimePart], html: list[MimePart], text_before: int, html_before: int) -> None:
    """An alternative that offered only one kind serves as both; blank text is none."""
    new_text, new_html = text[text_before:], html[html_before:]
    if not new_html:
        html += new_text
    elif all(map(_is_blank, new_text)):
        text[text_before:] = new_html


def _is_blank(part: MimePart) -> bool:
    """Whether the part begins with nothing that a reader could see."""
    text = _text(part, _BLANK_LOOKS_AT_CHARS)
    return not any(letter.isprintable() and not letter.isspace() for letter in text)


def _is_source(part: MimePart) -> bool:
    beginning = part.decode()[:_SOURCE_LOOKS_AT_BYTES].removeprefix(b"\xef\xbb\xbf")
    return beginning.lstrip().lower().startswith(_SOURCE_BEGINS)


def _is_body(part: MimePart, index: int, kind: str) -> bool:
    if part.attached or part.content_type not in {"text/plain", "text/html"}:
        return False
    return index == 0 or (kind != "related" and not part.filename)


def _is_furniture(part: MimePart) -> bool:
    inline_picture = part.content_id and part.content_type.startswith("image/")
    return bool(inline_picture and not part.attached) or part.content_type in _SIGNATURES


def text_of(parts: list[MimePart], *, limit: int = TEXT_MAX_CHARS) -> str:
    """The parts as one text of at most `limit` characters."""
    texts: list[str] = []
    for part in parts:
        left = limit - sum(map(len, texts))
        if left <= 0:
            break
        texts.append(_text(part, left))
    return "\n\n".join(text for text in texts if text)[:limit]


def html_of(parts: list[MimePart], *, limit: int = TEXT_MAX_CHARS) -> str:
    """The parts as one piece of HTML, not yet safe; plain text among them is preformatted."""
    return "\n".join(
        _read(part, limit) if part.content_type == "text/html" else preformatted(_text(part, limit))
        for part in parts
    )[:limit]


def _text(part: MimePart, limit: int) -> str:
    if part.content_type == "text/html":
        return to_text(_read(part, limit * 8), limit=limit)
    text = _read(part, limit)
    return unflowed(text, delete_space=part.delete_space) if part.flowed else text


def _read(part: MimePart, limit: int) -> str:
    octets = part.decode()[: limit * BYTES_PER_CHAR_MAX]
    return lines(
        decode_text(octets, part.charset, beside=part.beside).removeprefix("\ufeff"), limit=limit
    )
