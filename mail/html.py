"""HTML of strangers: made safe to show, and made text.

`sanitise` keeps an allow-list (nh3, a browser's own parser): nothing in it runs, loads, submits or
covers the page. Every image is blocked for now, remote or not: a picture tells its sender when and
where a mail was read. `to_text` never builds a tree, so that hostile HTML costs no more than plain.
"""

import html as entities
import re
from collections import Counter
from collections.abc import Iterable

import nh3

from mail.clean import lines

HTML_MAX_CHARS = 1024 * 1024  # measured: the worst nesting within these limits takes about 1 s
TAGS_MAX = 20_000
ENTITIES_MAX = 50_000
COPIED_MAX_BYTES = 256 * 1024 * 1024  # of memory, if the worst comes; about 1 s
TEXT_MAX_CHARS = 4 * 1024 * 1024

_GONE_WITH_CONTENT = {
    "script", "style", "title", "template", "iframe", "frame", "frameset", "object", "embed",
    "applet", "noscript", "noembed", "noframes", "textarea", "select", "svg", "math", "audio",
    "video", "canvas", "xml", "xmp", "plaintext", "dialog",
}  # fmt: skip
_TAGS = (nh3.ALLOWED_TAGS - {"area", "map", "data"}) | {"font", "tfoot", "big"}
_LAYOUT = {"align", "valign", "width", "height", "bgcolor", "dir", "lang", "title", "style"}
_ATTRIBUTES = {
    "*": _LAYOUT,
    "a": {"href"},
    "img": {"alt"},
    "table": {"border", "cellpadding", "cellspacing", "summary"},
    "td": {"colspan", "rowspan", "nowrap"},
    "th": {"colspan", "rowspan", "nowrap", "scope"},
    "col": {"span"},
    "colgroup": {"span"},
    "font": {"color", "face", "size"},
    "ol": {"start", "type"},
    "ul": {"type"},
    "hr": {"size", "noshade"},
    "time": {"datetime"},
}
_SIDES = ("", "-top", "-right", "-bottom", "-left")
_BOX = {f"{name}{side}" for name in ("margin", "padding", "border") for side in _SIDES} | {
    f"border{side}-{what}" for what in ("color", "style", "width") for side in _SIDES
}
_STYLE_PROPERTIES = _BOX | {
    "background-color", "border-collapse", "border-radius", "border-spacing", "color", "direction",
    "display", "font", "font-family", "font-size", "font-style", "font-variant", "font-weight",
    "height", "letter-spacing", "line-height", "max-width", "min-width", "table-layout",
    "text-align", "text-decoration", "text-indent", "text-transform", "vertical-align",
    "white-space", "width", "word-break", "word-wrap", "overflow-wrap",
}  # fmt: skip
_STYLE_REFUSED = ("url", "\\", "@", "expression", "/*", "image", "var(", "attr(", "src(")
_BREAKS = frozenset({
    "p", "div", "br", "tr", "li", "ul", "ol", "table", "blockquote", "pre", "hr", "h1", "h2", "h3",
    "h4", "h5", "h6", "section", "article", "header", "footer", "dt", "dd", "center", "title",
})  # fmt: skip
_SPACES = frozenset({"td", "th", "img"})
_NOT_TEXT = frozenset({"script", "style", "title", "template", "noscript", "textarea", "xml"})
# Formatting that is left open is opened again in every block that follows (HTML, "reconstruct the
# active formatting elements"): a thousand such tags before a thousand blocks make a million.
_REOPENED = re.compile(
    r"<(?:big|b|code|em|font|i|nobr|small|strike|strong|s|tt|u)[\s/>]", re.IGNORECASE
)
_LINK = re.compile(r"<a[\s/]", re.IGNORECASE)
_PLAIN_TAG = re.compile(
    r"""<\w+(?:\s+[\w:.-]+(?:\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'`=<>]+))?)*\s*/?>""", re.ASCII
)
_REOPENED_ALIKE = 3  # at most so many of the same tag and attributes
_NODE_BYTES = 256  # of the parser's memory, and of the text that is written
_CLOSES = {name: re.compile(f"</{name}", re.IGNORECASE) for name in _NOT_TEXT}


def sanitise(html: str) -> str:
    """HTML that may stand in a sandboxed frame of our page.

    Beyond the limits of this file, where parsing could take minutes, its text in a <pre>.
    """
    too_big = len(html) > HTML_MAX_CHARS
    if too_big or html.count("<") > TAGS_MAX or html.count("&") > ENTITIES_MAX:
        return preformatted(to_text(html))
    if _copied_bytes(html) > COPIED_MAX_BYTES:
        return preformatted(to_text(html))
    clean = _CLEANER.clean(html)
    return lines(clean, limit=len(clean))  # an entity may have stood for a control character


def _copied_bytes(html: str) -> int:
    """No less than what copies of formatting tags will take.

    What is not surely the same tag again counts as another, what does not surely end as endless.
    Of links only the last one is open.
    """
    alike: Counter[str] = Counter()
    open_bytes = link_bytes = 0
    for found in _REOPENED.finditer(html):
        tag = _PLAIN_TAG.match(html, found.start())
        name = tag[0] if tag else ""
        alike[name] += bool(tag)
        if not tag or alike[name] <= _REOPENED_ALIKE:
            open_bytes += _NODE_BYTES + _tag_chars(html, found.start(), tag)
    for link in _LINK.finditer(html):
        tag = _PLAIN_TAG.match(html, link.start())
        link_bytes = max(link_bytes, _tag_chars(html, link.start(), tag))
    return (open_bytes + link_bytes) * html.count("<")


def _tag_chars(html: str, start: int, tag: re.Match[str] | None) -> int:
    return len(tag[0]) if tag else len(html) - start


def preformatted(text: str) -> str:
    """Plain text as HTML."""
    return f"<pre>{entities.escape(text)}</pre>"


def to_text(html: str, *, limit: int = TEXT_MAX_CHARS) -> str:
    """What a reader would see as text, one pass; blocks end lines. At most `limit` characters."""
    pieces: list[str] = []
    at, length = 0, 0
    while at < len(html) and length <= limit:
        start = html.find("<", at)
        start = len(html) if start < 0 else start
        pieces.append(html[at:start])
        length += start - at
        at, between = _after_tag(html, start)
        pieces.append(between)
    text = entities.unescape("".join(pieces)[: 2 * limit]).replace("\xa0", " ")
    rows = (" ".join(row.split()) for row in lines(text, limit=limit).split("\n"))
    return "\n".join(_without_gaps(rows))


def _after_tag(html: str, start: int) -> tuple[int, str]:
    """Where text goes on after the tag that begins at `start`, and what stands for the tag.

    A tag, comment or script without an end swallows the rest, as in a browser.
    """
    if html.startswith("<!--", start):
        return _after(html, "-->", start + 4), ""
    name = _tag_name(html, start)
    if name is None:
        return start + 1, html[start : start + 1]  # a mere "<"
    end = _after(html, ">", start)
    if name in _NOT_TEXT:
        close = _find_close(html, name, end)
        return _after(html, ">", close), "\n"
    return end, "\n" if name.lstrip("/") in _BREAKS else " " if name in _SPACES else ""


def _tag_name(html: str, start: int) -> str | None:
    following = html[start + 1 : start + 2]
    if not (following.isascii() and (following.isalpha() or following in {"/", "!", "?"})):
        return None
    beginning = html[start + 1 : start + 24].replace(">", " ").replace("\n", " ")
    words = (beginning[:1] + beginning[1:].replace("/", " ")).split()
    return words[0].lower() if words else ""


def _after(html: str, end: str, start: int) -> int:
    found = html.find(end, start)
    return len(html) if found < 0 else found + len(end)


def _find_close(html: str, name: str, start: int) -> int:
    close = _CLOSES[name].search(html, start)
    return close.start() if close else len(html)


def _without_gaps(rows: Iterable[str]) -> list[str]:
    """At most one empty line in a row, none at the ends."""
    kept: list[str] = []
    for row in rows:
        if row or (kept and kept[-1]):
            kept.append(row)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _safe_attribute(_tag: str, name: str, value: str) -> str | None:
    """A style that names any address, or hides what it names, goes as a whole."""
    if name == "style" and any(part in value.lower() for part in _STYLE_REFUSED):
        return None
    return value


_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    clean_content_tags=_GONE_WITH_CONTENT,
    attributes=_ATTRIBUTES,
    attribute_filter=_safe_attribute,
    filter_style_properties=_STYLE_PROPERTIES,
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
    set_tag_attribute_values={"a": {"target": "_blank"}, "img": {"data-blocked": "image"}},
    strip_comments=True,
)
