"""HTML of strangers as text: what a reader would see, in one pass and without a tree."""

import html as entities
from collections.abc import Iterable

from mail.html.tokenizer import RAW_TEXT, HtmlTokens, markup
from mail.text_cleaning import lines

TEXT_MAX_CHARS = 4 * 1024 * 1024
_BREAKS = frozenset({
    "p", "div", "br", "tr", "li", "ul", "ol", "table", "blockquote", "pre", "hr", "h1", "h2", "h3",
    "h4", "h5", "h6", "section", "article", "header", "footer", "dt", "dd", "center",
}) | RAW_TEXT  # fmt: skip
_SPACES = frozenset({"td", "th", "img"})


def to_text(html: str, *, limit: int = TEXT_MAX_CHARS) -> str:
    """The visible text; blocks end lines, runs of white space are one space.

    At most `limit` characters. Linear in the length of `html`.
    """
    pieces: list[str] = []
    at = length = 0
    for item in markup(html):
        pieces += (html[at : item.start], _between(item))
        length += item.start - at
        at = item.end
        if length > limit:
            break
    else:
        pieces.append(html[at:])
    text = entities.unescape("".join(pieces)[: 2 * limit]).replace("\xa0", " ")
    rows = (" ".join(row.split()) for row in lines(text, limit=limit).split("\n"))
    return "\n".join(_without_gaps(rows))


def preformatted(text: str) -> str:
    """Plain text as HTML."""
    return f"<pre>{entities.escape(text)}</pre>"


def _between(item: HtmlTokens) -> str:
    """What stands in the text for a tag or comment."""
    if item.name in _BREAKS:
        return "\n"
    return " " if item.name in _SPACES else ""


def _without_gaps(rows: Iterable[str]) -> list[str]:
    """At most one empty line in a row, and no empty line at the ends."""
    kept: list[str] = []
    for row in rows:
        if row or (kept and kept[-1]):
            kept.append(row)
    while kept and not kept[-1]:
        kept.pop()
    return kept
