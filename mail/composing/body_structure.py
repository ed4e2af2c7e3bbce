"""MIME structure of an outgoing mail: text, HTML with its images, and attachments.

multipart/mixed of the body and the attachments; the body is multipart/alternative of text and
HTML; HTML with images is multipart/related (RFC 2387). A multipart of one part is that part.
"""

from dataclasses import dataclass, field

from mail.composing.body_parts import BodyPart, file_part, multipart, text_part
from mail.composing.faults import ComposingFault
from mail.composing.outgoing_mail import TEXT_MAX_CHARS, OutgoingAttachment, OutgoingMail
from mail.composing.quotation import quoted_html, quoted_text
from mail.filenames import safe_filename
from mail.html.sanitizer import OutgoingHtml, is_within_limits, sanitise_outgoing
from mail.html.text_extraction import preformatted, to_text
from mail.text_cleaning import lines

_PAGE = '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n{}\n</body></html>\n'


def body_of(mail: OutgoingMail, *, size_max_bytes: int) -> tuple[BodyPart, tuple[int, ...]]:
    """Return the root part of `mail`, whose fields are checked, and the order of its attachments.

    Raises ComposingFault: the HTML shows an image that is not attached; the parts have more than
    `size_max_bytes` together.
    """
    files = _Files(mail, size_max_bytes)
    text = text_part(_text_of(mail), "plain")
    files.count(text, "text")
    if mail.html is None:
        return multipart("mixed", [text, *files.parts(frozenset())]), tuple(files.order)
    html, shown_ids = _html_of(mail, mail.html, files.content_ids)
    page = text_part(_PAGE.format(html), "html")
    files.count(page, "html")
    related = multipart("related", [page, *files.images(shown_ids)])
    body = multipart("alternative", [text, related])
    return multipart("mixed", [body, *files.parts(shown_ids)]), tuple(files.order)


def _text_of(mail: OutgoingMail) -> str:
    """Return the text as given, else that of the HTML, and below it the quotation."""
    text = to_text(mail.html or "") if mail.text is None else lines(mail.text, limit=len(mail.text))
    quote = mail.quote
    if quote is None:
        return text
    plain = lines(quote.text or to_text(quote.html or ""), limit=TEXT_MAX_CHARS)
    below = quoted_text(quote, plain, language=mail.language, zone=mail.zone)
    return f"{text.rstrip()}\n\n{below}" if text.strip() else below


def _html_of(
    mail: OutgoingMail, html: str, content_ids: dict[str, str]
) -> tuple[str, frozenset[str]]:
    """Return the safe HTML with the quotation below it, and the ids of the images it shows."""
    html = lines(html, limit=len(html))
    own = sanitise_outgoing(html, content_ids)
    # What was made of it must be within the limits too, so that a draft can be read again.
    if not (is_within_limits(html) and is_within_limits(_PAGE.format(own.html))):
        raise ComposingFault("html", "It is too large or too complex: make it shorter.")
    for id_ in sorted(own.missing_ids):
        raise ComposingFault("html", f"No attachment has the content_id {id_[:100]}.")
    quote = mail.quote
    if quote is None:
        return own.html, own.shown_ids
    below = OutgoingHtml(html=preformatted(lines(quote.text, limit=TEXT_MAX_CHARS)))
    if quote.html is not None:
        below = sanitise_outgoing(lines(quote.html, limit=TEXT_MAX_CHARS), content_ids)
    written = quoted_html(quote, below.html, language=mail.language, zone=mail.zone)
    return f"{own.html}\n<br>\n{written}", own.shown_ids | below.shown_ids


@dataclass(slots=True)
class _Files:
    """The attachments of a mail; counts the octets of its parts."""

    mail: OutgoingMail
    size_max_bytes: int
    content_ids: dict[str, str] = field(init=False)  # as written, by the id that HTML refers to
    order: list[int] = field(default_factory=list)  # indexes of the attachments written so far
    _size_bytes: int = 0

    def __post_init__(self) -> None:
        domain = self.mail.message_id.rpartition("@")[2]
        ids = (one.content_id for one in self.mail.attachments if one.content_id)
        self.content_ids = {id_: id_ if "@" in id_ else f"{id_}@{domain}" for id_ in ids}

    def images(self, shown_ids: frozenset[str]) -> list[BodyPart]:
        """Return the attachments that the HTML shows."""
        return [
            self._part(number, file, inline=True)
            for number, file in enumerate(self.mail.attachments)
            if self._id_of(file) in shown_ids
        ]

    def parts(self, shown_ids: frozenset[str]) -> list[BodyPart]:
        """Return the other attachments."""
        return [
            self._part(number, file, inline=file.inline)
            for number, file in enumerate(self.mail.attachments)
            if self._id_of(file) not in shown_ids
        ]

    def count(self, part: BodyPart, place: str) -> None:
        """Raises ComposingFault: the parts so far are too large."""
        self._size_bytes += len(part.body)
        if self._size_bytes > self.size_max_bytes:
            detail = f"The whole mail has at most {self.size_max_bytes} bytes as it is sent."
            raise ComposingFault(place, detail)

    def _part(self, number: int, file: OutgoingAttachment, *, inline: bool) -> BodyPart:
        part = file_part(
            file.octets(),
            file.content_type,
            filename=safe_filename(file.filename, f"attachment-{number + 1}"),
            inline=inline,
            content_id=self._id_of(file),
        )
        self.count(part, f"attachments[{number}]")
        self.order.append(number)
        return part

    def _id_of(self, file: OutgoingAttachment) -> str:
        return self.content_ids.get(file.content_id, "")
