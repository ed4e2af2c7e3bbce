"""Sanitizer of untrusted HTML: returns HTML that is safe to display in a sandboxed frame.

An allow-list (nh3, with an HTML parser of a browser) keeps only elements that cannot run code, load
resources, submit forms or cover the page. All images are blocked, remote or not: loading an image
reveals to the sender when and where a mail is read. Links within the mail are kept; their targets
get the prefix NAME_PREFIX.
Accepts any text and never raises. Beyond the limits below it returns the text only.
`sanitise_outgoing` does the same for mail that a user writes: images of the mail itself stay.
`sanitise_viewed` does the same for the view document: images of the mail are its attachments.
"""

import html as entities
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

import nh3

from mail.html.quotes import QUOTE_CLASS, is_quote_class
from mail.html.remote_images import RemoteImages
from mail.html.style_declarations import body_style, safe_style
from mail.html.text_extraction import preformatted, to_text
from mail.html.tokenizer import RAW_TEXT, HtmlTokens, is_self_closing, markup
from mail.text_cleaning import UNWANTED, lines

HTML_MAX_CHARS = 1024 * 1024  # measured: the worst nesting within these limits takes about 1 s
TAGS_MAX = 20_000
ENTITIES_MAX = 50_000
ATTRIBUTES_MAX = 300  # of one tag; the parser compares each attribute with all others
FOREIGN_CONTENT_MAX_CHARS = 64 * 1024  # of HTML with svg or math, which is parsed differently
REOPENED_MAX_BYTES = 256 * 1024 * 1024  # memory for formatting tags, worst case; about 1 s
NAME_PREFIX = "mail-"  # of every id and anchor name, so that no mail uses a name of the page
NAME_MAX_CHARS = 200

_REMOVED_WITH_CONTENT = {
    "script", "style", "title", "template", "iframe", "frame", "frameset", "object", "embed",
    "applet", "noscript", "noembed", "noframes", "textarea", "select", "svg", "math", "audio",
    "video", "canvas", "xml", "xmp", "plaintext", "dialog",
}  # fmt: skip
_TAGS = (nh3.ALLOWED_TAGS - {"area", "map", "data"}) | {"font", "tfoot", "big"}
_LAYOUT = {"align", "valign", "width", "height", "bgcolor", "dir", "lang", "title", "style", "id"}
_ATTRIBUTES = {
    "*": _LAYOUT,
    "a": {"href", "name"},
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
# A formatting tag that is not closed is reopened in every following block (HTML, "reconstruct the
# active formatting elements"): a thousand such tags before a thousand blocks become a million.
_FORMATTING_TAG = re.compile(
    r"<(?:big|b|code|em|font|i|nobr|small|strike|strong|s|tt|u)[\s/>]", re.IGNORECASE
)
_LINK = re.compile(r"<a[\s/]", re.IGNORECASE)
_PLAIN_TAG = re.compile(
    r"""<\w+(?:\s+[\w:.-]+(?:\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'`=<>]+))?)*\s*/?>""", re.ASCII
)
_SAME_TAG_MAX = 3  # the parser reopens at most three tags with equal names and attributes
_NODE_BYTES = 256  # memory of the parser and of the output, per node
_FOREIGN = re.compile(r"<(?:svg|math)[\s/>]", re.IGNORECASE)
_ABSOLUTE = re.compile(r"(?:https?|mailto):", re.IGNORECASE)
_NAME = re.compile(rf"[^\s\"'<>&]{{1,{NAME_MAX_CHARS}}}")
_ID_LITERAL = "@!$&'*+=~"  # in the URL of a content id (RFC 2392)
_LINK_TAG = re.compile("<a |</a>")
_SELECT = re.compile(r"<(?:select|option)[\s/>]", re.IGNORECASE)  # hides the nesting of lists
_APPENDED_ATTRIBUTES = {
    "<a ": ' target="_blank" rel="noopener noreferrer nofollow">',
    "<img ": ' data-blocked="image">',
}
# A link within the mail, as nh3 writes it. Such a link must not open another window.
_INNER_LINK = re.compile(rf'<a(?: [a-z]+="[^"]*")* href="#{NAME_PREFIX}[^"]*"(?: [a-z]+="[^"]*")*>')


def sanitise(html: str) -> str:
    """Return `html` with safe elements, attributes and styles only.

    Sanitising the result again does not change it, except for the nesting of elements that a table
    displaced. HTML beyond the limits of this module, which could take minutes to parse, is
    returned as its text in a <pre>.
    """
    return _sanitise(html, _CLEANER)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingHtml:
    """Safe HTML, the content ids of the images that it shows, and those that are not there."""

    html: str
    shown_ids: frozenset[str] = frozenset()
    missing_ids: frozenset[str] = frozenset()


def sanitise_outgoing(html: str, content_ids: Mapping[str, str]) -> OutgoingHtml:
    """Return the HTML of a mail that is sent, as `sanitise`, with images of the mail (RFC 2392).

    `content_ids`: the Content-ID of each attachment by the id that `html` refers to. The source of
    every other image is removed. HTML beyond the limits of this module becomes its text.
    """
    images = _Images({**content_ids, **{id_: id_ for id_ in content_ids.values()}})
    cleaner = _outgoing_cleaner(images.safe_attribute)
    clean = _sanitise(html, cleaner).replace("<img>", "")  # without source and text
    return OutgoingHtml(
        html=clean, shown_ids=frozenset(images.shown), missing_ids=frozenset(images.missing)
    )


def sanitise_viewed(
    html: str, image_urls: Mapping[str, str], remote: RemoteImages | None = None
) -> str:
    """Return safe HTML for the view document, as `sanitise`, with images of the mail (RFC 2392).

    `image_urls`: the URL of each image by its Content-ID. Remote images have the links of `remote`;
    None: no source, as all other images. Quotations that a mail program marked have the class
    QUOTE_CLASS; every other class is removed.
    """
    kept_urls = frozenset(image_urls.values())

    def safe_attribute(tag: str, name: str, value: str) -> str | None:
        if tag == "img" and name == "src":
            scheme, _, id_ = value.strip().partition(":")
            if scheme.lower() == "cid":
                return image_urls.get(unquote(id_))
            if value in kept_urls or remote is None:
                return value if value in kept_urls else None
            return remote.link(value)
        if name == "class":
            return QUOTE_CLASS if is_quote_class(value) else None
        return _safe_attribute(tag, name, value)

    return _sanitise(html, _viewed_cleaner(safe_attribute))


def _sanitise(html: str, cleaner: nh3.Cleaner) -> str:
    if not is_within_limits(html):
        return preformatted(to_text(html))
    body, self_closed = None, []
    for item in markup(html):
        if item.name == "body" and body is None:
            body = item
        if item.name in RAW_TEXT and is_self_closing(item.inner):
            self_closed.append(item)
    clean = _clean(_without_tags(html, self_closed), cleaner)
    style = body_style(_decoded_attributes(body)) if body else ""
    return _with_body_style(clean, style) if style else clean


def is_within_limits(html: str) -> bool:
    """Whether `html` can be sanitised in bounded time; else only its text is kept."""
    too_big = len(html) > HTML_MAX_CHARS
    if too_big or html.count("<") > TAGS_MAX or html.count("&") > ENTITIES_MAX:
        return False
    if _reopened_bytes(html) > REOPENED_MAX_BYTES or _has_large_foreign_content(html):
        return False
    return not any(item.inner and _has_too_many_attributes(item) for item in markup(html))


@dataclass(frozen=True, slots=True)
class _Images:
    """The images of the mail: which of them its HTML shows."""

    content_ids: Mapping[str, str]
    shown: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)

    def safe_attribute(self, tag: str, name: str, value: str) -> str | None:
        if tag != "img" or name != "src":
            return _safe_attribute(tag, name, value)
        scheme, _, id_ = value.strip().partition(":")
        if scheme.lower() != "cid":
            return None
        content_id = self.content_ids.get(unquote(id_))
        (self.missing if content_id is None else self.shown).add(content_id or id_)
        return None if content_id is None else f"cid:{quote(content_id, safe=_ID_LITERAL)}"


def _clean(html: str, cleaner: nh3.Cleaner) -> str:
    clean = cleaner.clean(html)
    if not _has_stable_order(clean) or _has_nested_links(clean) or _SELECT.search(html):
        clean = cleaner.clean(clean)
    if f'href="#{NAME_PREFIX}' in clean:
        clean = _INNER_LINK.sub(lambda link: link[0].replace(' target="_blank"', "", 1), clean)
    return lines(clean, limit=len(clean))  # an entity may have encoded a control character


def _has_stable_order(clean: str) -> bool:
    """Whether the attributes that nh3 adds come last, so that cleaning again keeps their order.

    When nh3 drops an attribute, the last attribute takes its position.
    """
    return all(clean.count(tag) == clean.count(end) for tag, end in _APPENDED_ATTRIBUTES.items())


def _has_nested_links(clean: str) -> bool:
    """Whether a link contains a link, as after a table in a link.

    Parsing the output again would close the outer link.
    """
    is_open = False
    for tag in _LINK_TAG.findall(clean):
        if tag == "<a " and is_open:
            return True
        is_open = tag == "<a "
    return False


def _with_body_style(clean: str, style: str) -> str:
    """Wrap the content of the body in an element with the colours of the body."""
    wrapper = _clean(f'<div style="{entities.escape(style)}"></div>', _CLEANER)
    return wrapper.replace("></div>", f">{clean}</div>") if "style=" in wrapper else clean


def _decoded_attributes(item: HtmlTokens) -> dict[str, str]:
    """Return the attributes by name; the first of each name counts (HTML §13.2.5.33)."""
    pairs = reversed(list(item.attributes()))
    return {name: entities.unescape(value) for name, value in pairs}


def _without_tags(html: str, items: list[HtmlTokens]) -> str:
    """Remove unclosed tags such as `<title/>`, which would hide the rest of the mail."""
    for item in reversed(items):
        if "</" not in html[item.start : item.end]:
            html = html[: item.start] + html[item.end :]
    return html


def _has_too_many_attributes(item: HtmlTokens) -> bool:
    if len(item.inner) < ATTRIBUTES_MAX:
        return False
    return sum(1 for _ in item.attributes()) > ATTRIBUTES_MAX


def _has_large_foreign_content(html: str) -> bool:
    return len(html) > FOREIGN_CONTENT_MAX_CHARS and _FOREIGN.search(html) is not None


def _reopened_bytes(html: str) -> int:
    """Return an upper bound of the memory for reopened formatting tags.

    A tag that may differ from the others counts as a different tag. A tag that may not end counts
    to the end of the text. Only the last link can be open.
    """
    repeats: Counter[str] = Counter()
    open_bytes = link_bytes = 0
    for start in _FORMATTING_TAG.finditer(html):
        tag = _PLAIN_TAG.match(html, start.start())
        name = tag[0] if tag else ""
        repeats[name] += bool(tag)
        if not tag or repeats[name] <= _SAME_TAG_MAX:
            open_bytes += _NODE_BYTES + _tag_chars(html, start.start(), tag)
    for link in _LINK.finditer(html):
        tag = _PLAIN_TAG.match(html, link.start())
        link_bytes = max(link_bytes, _tag_chars(html, link.start(), tag))
    return (open_bytes + link_bytes) * html.count("<")


def _tag_chars(html: str, start: int, tag: re.Match[str] | None) -> int:
    return len(tag[0]) if tag else len(html) - start


def _safe_attribute(tag: str, name: str, value: str) -> str | None:
    """Return the safe value of an attribute, without control characters; None: drop it."""
    if name == "href":
        return _safe_link(value)
    clean = lines(value, limit=len(value))
    if name == "style":
        return safe_style(clean) or None
    if name == "id" or (name == "name" and tag == "a"):
        return _prefixed(clean)
    return clean


def _safe_link(value: str) -> str | None:
    """Return an absolute URL or a link within the mail, else None. nh3 has checked the scheme."""
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


def _cleaner(
    attribute_filter: Callable[[str, str, str], str | None],
    *,
    image_attributes: set[str],
    image_schemes: set[str],
    added_attributes: dict[str, dict[str, str]],
    layout: set[str] = _LAYOUT,
) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=_TAGS,
        clean_content_tags=_REMOVED_WITH_CONTENT,
        attributes={**_ATTRIBUTES, "*": layout, "img": image_attributes},
        attribute_filter=attribute_filter,
        filter_style_properties=_STYLE_PROPERTIES,
        url_schemes={"http", "https", "mailto"} | image_schemes,
        url_relative="pass_through",
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}, **added_attributes},
        strip_comments=True,
    )


def _outgoing_cleaner(attribute_filter: Callable[[str, str, str], str | None]) -> nh3.Cleaner:
    return _cleaner(
        attribute_filter,
        image_attributes={"alt", "src"},
        image_schemes={"cid"},
        added_attributes={},
    )


def _viewed_cleaner(attribute_filter: Callable[[str, str, str], str | None]) -> nh3.Cleaner:
    return _cleaner(
        attribute_filter,
        image_attributes={"alt", "src"},
        image_schemes={"cid"},
        added_attributes={},
        layout=_LAYOUT | {"class"},
    )


_CLEANER = _cleaner(
    _safe_attribute,
    image_attributes={"alt"},
    image_schemes=set(),
    added_attributes={"img": {"data-blocked": "image"}},
)
