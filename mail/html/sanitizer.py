"""HTML of strangers, made safe to show.

`sanitise` keeps an allow-list (nh3, a browser's own parser): nothing in it runs, loads, submits or
covers the page. Every image is blocked for now, remote or not: a picture tells its sender when and
where a mail was read. Links within the mail stay, under names that only mails have.
"""

import html as entities
import re
from collections import Counter

import nh3

from mail.html.style_declarations import body_style, safe_style
from mail.html.text_extraction import preformatted, to_text
from mail.html.tokenizer import RAW_TEXT, HtmlTokens, is_self_closing, markup
from mail.text_cleaning import UNWANTED, lines

HTML_MAX_CHARS = 1024 * 1024  # measured: the worst nesting within these limits takes about 1 s
TAGS_MAX = 20_000
ENTITIES_MAX = 50_000
ATTRIBUTES_MAX = 300  # of one tag; the parser compares each with all
FOREIGN_MAX_CHARS = 64 * 1024  # of HTML with svg or math in it, whose tags count differently
COPIED_MAX_BYTES = 256 * 1024 * 1024  # of memory, if the worst comes; about 1 s
NAME_PREFIX = "mail-"  # of every id and anchor name, so that a mail's names are no others'
NAME_MAX_CHARS = 200

_GONE_WITH_CONTENT = {
    "script", "style", "title", "template", "iframe", "frame", "frameset", "object", "embed",
    "applet", "noscript", "noembed", "noframes", "textarea", "select", "svg", "math", "audio",
    "video", "canvas", "xml", "xmp", "plaintext", "dialog",
}  # fmt: skip
_TAGS = (nh3.ALLOWED_TAGS - {"area", "map", "data"}) | {"font", "tfoot", "big"}
_LAYOUT = {"align", "valign", "width", "height", "bgcolor", "dir", "lang", "title", "style", "id"}
_ATTRIBUTES = {
    "*": _LAYOUT,
    "a": {"href", "name"},
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
_FOREIGN = re.compile(r"<(?:svg|math)[\s/>]", re.IGNORECASE)
_ABSOLUTE = re.compile(r"(?:https?|mailto):", re.IGNORECASE)
_NAME = re.compile(rf"[^\s\"'<>&]{{1,{NAME_MAX_CHARS}}}")
_LINK_TAG = re.compile("<a |</a>")
_SELECT = re.compile(r"<(?:select|option)[\s/>]", re.IGNORECASE)  # it hides how lists nest
_ENDS_OF_TAGS = {
    "<a ": ' target="_blank" rel="noopener noreferrer nofollow">',
    "<img ": ' data-blocked="image">',
}
# As nh3 writes a link within the mail; it must not open another window.
_INNER_LINK = re.compile(rf'<a(?: [a-z]+="[^"]*")* href="#{NAME_PREFIX}[^"]*"(?: [a-z]+="[^"]*")*>')


def sanitise(html: str) -> str:
    """HTML that may stand in a sandboxed frame of our page.

    Cleaned once more it stays the same, but for the nesting of elements that a table displaced.
    Beyond the limits of this file, where parsing could take minutes, its text in a <pre>.
    """
    too_big = len(html) > HTML_MAX_CHARS
    if too_big or html.count("<") > TAGS_MAX or html.count("&") > ENTITIES_MAX:
        return preformatted(to_text(html))
    if _copied_bytes(html) > COPIED_MAX_BYTES or _is_foreign_and_big(html):
        return preformatted(to_text(html))
    body, self_closed = None, []
    for item in markup(html):
        if item.inner and _has_too_many_attributes(item):
            return preformatted(to_text(html))
        if item.name == "body" and body is None:
            body = item
        if item.name in RAW_TEXT and is_self_closing(item.inner):
            self_closed.append(item)
    clean = _cleaned(_without(html, self_closed))
    style = body_style(_decoded_attributes(body)) if body else ""
    return _with_body_style(clean, style) if style else clean


def _cleaned(html: str) -> str:
    clean = _CLEANER.clean(html)
    if not _is_in_order(clean) or _has_nested_links(clean) or _SELECT.search(html):
        clean = _CLEANER.clean(clean)
    if f'href="#{NAME_PREFIX}' in clean:
        clean = _INNER_LINK.sub(lambda link: link[0].replace(' target="_blank"', "", 1), clean)
    return lines(clean, limit=len(clean))  # an entity may have stood for a control character


def _is_in_order(clean: str) -> bool:
    """Whether the attributes that nh3 adds stand last, as they will when it cleans again.

    The last attribute takes the place of one that nh3 drops.
    """
    return all(clean.count(tag) == clean.count(end) for tag, end in _ENDS_OF_TAGS.items())


def _has_nested_links(clean: str) -> bool:
    """Whether a link stands in a link, as after a table in one: parsed again it would not."""
    is_open = False
    for tag in _LINK_TAG.findall(clean):
        if tag == "<a " and is_open:
            return True
        is_open = tag == "<a "
    return False


def _with_body_style(clean: str, style: str) -> str:
    """What is around the body's content: an element with the colours of the body."""
    around = _cleaned(f'<div style="{entities.escape(style)}"></div>')
    return around.replace("></div>", f">{clean}</div>") if "style=" in around else clean


def _decoded_attributes(item: HtmlTokens) -> dict[str, str]:
    """The first of each name counts (HTML §13.2.5.33)."""
    pairs = reversed(list(item.attributes()))
    return {name: entities.unescape(value) for name, value in pairs}


def _without(html: str, items: list[HtmlTokens]) -> str:
    """`<title/>` that nothing closes would take the rest of the mail away."""
    for item in reversed(items):
        if "</" not in html[item.start : item.end]:
            html = html[: item.start] + html[item.end :]
    return html


def _has_too_many_attributes(item: HtmlTokens) -> bool:
    if len(item.inner) < ATTRIBUTES_MAX:
        return False
    return sum(1 for _ in item.attributes()) > ATTRIBUTES_MAX


def _is_foreign_and_big(html: str) -> bool:
    return len(html) > FOREIGN_MAX_CHARS and _FOREIGN.search(html) is not None


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


def _safe_attribute(tag: str, name: str, value: str) -> str | None:
    """The value that may stay, free of control characters; None to drop the attribute."""
    if name == "href":
        return _safe_link(value)
    clean = lines(value, limit=len(value))
    if name == "style":
        return safe_style(clean) or None
    if name == "id" or (name == "name" and tag == "a"):
        return _prefixed(clean)
    return clean


def _safe_link(value: str) -> str | None:
    """An absolute address, or a place in the same mail. nh3 has checked the scheme before."""
    address = value.strip(" \t\r\n")
    if UNWANTED.search(address):
        return None
    if address.startswith("#"):
        name = _prefixed(address[1:])
        return f"#{name}" if name else None
    return address if _ABSOLUTE.match(address) else None


def _prefixed(name: str) -> str | None:
    if not _NAME.fullmatch(name):
        return None
    return name if name.startswith(NAME_PREFIX) else NAME_PREFIX + name


_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    clean_content_tags=_GONE_WITH_CONTENT,
    attributes=_ATTRIBUTES,
    attribute_filter=_safe_attribute,
    filter_style_properties=_STYLE_PROPERTIES,
    url_schemes={"http", "https", "mailto"},
    url_relative="pass_through",
    link_rel="noopener noreferrer nofollow",
    set_tag_attribute_values={"a": {"target": "_blank"}, "img": {"data-blocked": "image"}},
    strip_comments=True,
)
