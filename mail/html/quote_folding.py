"""Folding of the quotation at the end of a mail in sanitised HTML.

Folded is the last quotation if text precedes it and no text follows it: an answer between quoted
lines stays open, and so does a forwarded mail. Expects the output of the sanitizer. Linear time.
"""

import re
from collections.abc import Iterator

from mail.html.quotes import HEADING_IDS, QUOTE_CLASS
from mail.html.style_sheet import TAG
from mail.html.text_extraction import to_text

OPEN_FOLD = '<details class="mail-fold"><summary aria-label="Quoted text">…</summary>'
CLOSE_FOLD = "</details>"
FORWARD_MARK_MAX_CHARS = 300  # the words that introduce a forwarded mail are within these
_FORWARDED = re.compile(r"-- ?(?:forwarded|전달)", re.IGNORECASE)
_VOID = frozenset({"br", "col", "hr", "img", "wbr"})
_QUOTE_CLASS = re.compile(rf' class="{QUOTE_CLASS}[ "]')
_SHOWN_IMAGE = re.compile(r'<img(?: [a-z-]+="[^"]*")* src="')
_HEADING_ID = re.compile(rf' id="mail-(?:{"|".join(sorted(HEADING_IDS))})"')


def folded(clean: str) -> str:
    """Return `clean` with its last quotation in a closed `details` element."""
    span = _last_quotation(clean)
    if span is None:
        return clean
    before, quotation, after = clean[: span[0]], clean[span[0] : span[1]], clean[span[1] :]
    if not _is_visible(before) or _is_visible(after) or is_forwarded(to_text(quotation)):
        return clean
    return f"{before}{OPEN_FOLD}{quotation}{CLOSE_FOLD}{after}"


def is_forwarded(text: str) -> bool:
    """Whether a quotation is a forwarded mail, which its reader is to read."""
    return _FORWARDED.search(text[:FORWARD_MARK_MAX_CHARS]) is not None


def _last_quotation(clean: str) -> tuple[int, int] | None:
    """Return start and end of the last outermost quotation."""
    last: tuple[int, int] | None = None
    for span in _quotations(clean):
        last = span
    return last


def _quotations(clean: str) -> Iterator[tuple[int, int]]:
    """Iterate over the outermost quotations.

    A quotation below a heading extends to the end of the parent of the heading.
    """
    start, depth, outer_depth, is_heading = -1, 0, 0, False
    for tag in TAG.finditer(clean):
        if tag[2] in _VOID:
            continue
        depth += -1 if tag[1] else 1
        if start < 0 and not tag[1]:
            is_heading = _HEADING_ID.search(tag[3]) is not None
            if is_heading or tag[2] == "blockquote" or _QUOTE_CLASS.search(tag[3]):
                start, outer_depth = tag.start(), depth - 1
        elif start >= 0 and depth < outer_depth + (not is_heading):
            yield start, tag.start() if is_heading else tag.end()
            start = -1
    if start >= 0:
        yield start, len(clean)


def _is_visible(html: str) -> bool:
    return _SHOWN_IMAGE.search(html) is not None or bool(to_text(html))
