"""Tokenizer of HTML: tags, comments and raw text in one pass (HTML §13.2.5).

Accepts any text and never raises. A `>` within a quoted attribute value does not end a tag. A tag,
comment or raw-text element without an end extends to the end of the document, as in a browser.
Linear time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Elements whose content has no tags (HTML §13.2.5.1: raw text, RCDATA), and `xml` and `template`,
# whose content is not visible.
RAW_TEXT = frozenset({"script", "style", "title", "template", "noscript", "textarea", "xml"})

_SPACE = "[\t\n\f\r ]"
_VALUE = r"""(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\t\n\f\r "'>][^\t\n\f\r >]*+|(?=>))"""
_ATTRIBUTE = rf"(=?[^\t\n\f\r />=]*+)(?:{_SPACE}*+={_SPACE}*+({_VALUE}))?+"
_TAG = re.compile(rf"</?([A-Za-z][^\t\n\f\r />]*+)((?:[\t\n\f\r /]++|{_ATTRIBUTE})*+)>")
_OPENING = re.compile(r"<(?:/?([A-Za-z])|[!?/])")
_ATTRIBUTES = re.compile(rf"[\t\n\f\r /]*+{_ATTRIBUTE}")
_COMMENT_END = re.compile(r"--!?>")
_CLOSES = {name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE) for name in RAW_TEXT}


@dataclass(frozen=True, slots=True)
class HtmlTokens:
    """One tag with the raw text that follows it, or one comment.

    `start` and `end` are positions in the document. `name` is in lower case; "" for a comment.
    `inner` is the text of the attributes.
    """

    start: int
    end: int
    name: str = ""
    closes: bool = False
    inner: str = ""

    def attributes(self) -> Iterator[tuple[str, str]]:
        """Iterate over names in lower case and values; character references are not decoded."""
        for match in _ATTRIBUTES.finditer(self.inner):
            if match[1]:
                yield match[1].lower(), (match[2] or "").strip("\"'")


def markup(html: str) -> Iterator[HtmlTokens]:
    """Iterate over the tags and comments of `html` in order; everything between them is text."""
    never_closed: set[str] = set()
    position = 0
    while (start := html.find("<", position)) >= 0:
        item = _markup_at(html, start, never_closed)
        if item is None:
            position = start + 1  # this `<` is text
            continue
        yield item
        position = item.end


def _markup_at(html: str, start: int, never_closed: set[str]) -> HtmlTokens | None:
    opening = _OPENING.match(html, start)
    if opening is None:
        return None
    if html.startswith("<!--", start):
        return HtmlTokens(start, _end_of_comment(html, start))
    if not opening[1]:
        return HtmlTokens(start, _position_after(html, ">", start))  # a bogus comment
    tag = _TAG.match(html, start)
    if tag is None:
        return HtmlTokens(start, len(html))
    name, closes = tag[1].lower(), html[start + 1] == "/"
    end = tag.end()
    if name in RAW_TEXT and not closes:
        end = _end_of_raw_text(html, name, tag, never_closed)
    return HtmlTokens(start, end, name, closes, tag[2])


def _end_of_comment(html: str, start: int) -> int:
    """HTML §13.2.5.43-52: `<!-->` and `<!--->` are whole comments; `--!>` ends a comment."""
    for whole in ("<!-->", "<!--->"):
        if html.startswith(whole, start):
            return start + len(whole)
    end = _COMMENT_END.search(html, start + 4)
    return end.end() if end else len(html)


def _end_of_raw_text(html: str, name: str, tag: re.Match[str], never_closed: set[str]) -> int:
    """Return the position after the closing tag.

    An unclosed `<title/>` is empty, as its author intended.
    """
    close = None if name in never_closed else _CLOSES[name].search(html, tag.end())
    if close is not None:
        return _position_after(html, ">", close.start())
    never_closed.add(name)
    return tag.end() if is_self_closing(tag[2]) else len(html)


def is_self_closing(inner: str) -> bool:
    return inner.endswith("/")


def _position_after(html: str, end: str, start: int) -> int:
    position = html.find(end, start)
    return len(html) if position < 0 else position + len(end)
