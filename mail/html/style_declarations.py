"""Filter of untrusted CSS declarations in style attributes.

A declaration that contains a URL, or that could hide a URL, is dropped; the others are kept. The
`background` shorthand is reduced to its colour, so that text keeps its background colour. When a
background is lost, because it was only an image, the text colour is dropped too. A length in parts
of the window's height is dropped: the frame of a mail is as high as its content, so that content
would grow without end.
Accepts any text and never raises. Limit: DECLARATIONS_MAX.
"""

import re
from collections.abc import Iterator, Mapping

DECLARATIONS_MAX = 200  # of one style attribute
_REFUSED = (
    "url", "\\", "@", "expression", "/*", "image", "var(", "attr(", "src(", "<", ">", "{", "}",
)  # fmt: skip
_OF_WINDOW_HEIGHT = re.compile(
    r"[0-9](?:[sld]?v|cq)(?:h|b|min|max)(?![a-z])"
)  # CSS Values 4 §6.1.2
_COLOUR = re.compile(
    r"#[0-9a-f]{3,8}|(?:rgb|hsl)a?\([0-9a-z.,%/ +-]{1,64}\)|[a-z]{3,30}", re.IGNORECASE
)
_BARE_HEX = re.compile(r"[0-9a-f]{6}", re.IGNORECASE)
_TOKEN = re.compile(r"[^\s(),]{1,64}(?:\([^()]{0,64}\))?")
_URL = re.compile(r"url\([^()]*\)?", re.IGNORECASE)
_BACKGROUND_KEYWORDS = frozenset({  # keywords of the `background` shorthand (CSS Backgrounds §2.10)
    "none", "repeat", "no-repeat", "repeat-x", "repeat-y", "space", "round", "scroll", "fixed",
    "local", "top", "left", "right", "bottom", "center", "auto", "cover", "contain", "border-box",
    "padding-box", "content-box", "text", "inherit", "initial", "unset", "revert",
})  # fmt: skip


def safe_style(style: str) -> str:
    """Return the safe declarations of a style attribute; "": there is no safe declaration."""
    kept: list[tuple[str, str]] = []
    background_lost = False
    for name, value in _declarations(style):
        if name == "background":
            colour = _background_colour(_URL.sub(" ", value))
            background_lost |= not colour and "url" in value.lower()
            kept += [("background-color", colour)] if colour else []
        elif not _is_refused(value.lower()):
            kept.append((name, value))
    if background_lost and not any(name == "background-color" for name, _ in kept):
        kept = [(name, value) for name, value in kept if name != "color"]
    return ";".join(f"{name}:{value}" for name, value in kept)


def _is_refused(value: str) -> bool:
    return any(part in value for part in _REFUSED) or _OF_WINDOW_HEIGHT.search(value) is not None


def body_style(attributes: Mapping[str, str]) -> str:
    """Return the style equivalent to the attributes of a `body` element (HTML §15.3.2)."""
    colours = (("background-color", "bgcolor"), ("color", "text"))
    legacy = [
        f"{name}:{colour}"
        for name, attribute in colours
        if (colour := _legacy_colour(attributes.get(attribute, "")))
    ]
    return ";".join(filter(None, (*legacy, safe_style(attributes.get("style", "")))))


def _declarations(style: str) -> Iterator[tuple[str, str]]:
    for declaration in style.split(";", DECLARATIONS_MAX)[:DECLARATIONS_MAX]:
        name, colon, value = declaration.partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


def _background_colour(value: str) -> str:
    """Return the colour in a `background` shorthand; "": there is no colour."""
    for token in _TOKEN.findall(value):
        if token.lower() not in _BACKGROUND_KEYWORDS and _COLOUR.fullmatch(token):
            return str(token)
    return ""


def _legacy_colour(value: str) -> str:
    value = value.strip()
    if _BARE_HEX.fullmatch(value):
        return f"#{value}"
    return value if _COLOUR.fullmatch(value) else ""
