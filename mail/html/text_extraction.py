"""Text extraction from untrusted HTML: the visible text, in one pass without a document tree.

Accepts any text and never raises. Limit: TEXT_MAX_CHARS. Linear time.
"""

import html as entities
from collections.abc import Iterable

from mail.html.tokenizer import RAW_TEXT, HtmlTokens, markup
from mail.text_cleaning import lines

TEXT_MAX_CHARS = 4 * 1024 * 1024
_LINE_BREAKS = frozenset({
    "p", "div", "br", "tr", "li", "ul", "ol", "table", "blockquote", "pre", "hr", "h1", "h2", "h3",
    "h4", "h5", "h6", "section", "article", "header", "footer", "dt", "dd", "center",
}) | RAW_TEXT  # fmt: skip
_SPACES = frozenset({"td", "th", "img"})


def to_text(html: str, *, limit: int = TEXT_MAX_CHARS) -> str:
    """Return the visible text, at most `limit` characters.

    A block element ends the line; a run of white space becomes one space.
    """
    pieces: list[str] = []
    position = length = 0
    for item in markup(html):
        pieces += (html[position : item.start], _separator(item))
        length += item.start - position
        position = item.end
        if length > limit:
            break
    else:
        pieces.append(html[position:])
    text = entities.unescape("".join(pieces)[: 2 * limit]).replace("\xa0", " ")
    rows = (" ".join(row.split()) for row in lines(text, limit=limit).split("\n"))
    return "\n".join(_collapse_empty_lines(rows))


def preformatted(text: str) -> str:
    """Return plain text as HTML."""
    return f"<pre>{entities.escape(text)}</pre>"


def _separator(item: HtmlTokens) -> str:
    """Return the white space that replaces a tag or comment."""
    if item.name in _LINE_BREAKS:
        return "\n"
    return " " if item.name in _SPACES else ""


def _collapse_empty_lines(rows: Iterable[str]) -> list[str]:
    """Collapse runs of empty lines to one, and remove empty lines at the ends."""
    kept: list[str] = []
    for row in rows:
        if row or (kept and kept[-1]):
            kept.append(row)
    while kept and not kept[-1]:
        kept.pop()
    return kept
