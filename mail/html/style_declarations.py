"""Style declarations of strangers: which may stand in a page, one by one.

A declaration that names an address, or hides what it names, is dropped; its neighbours stay.
The `background` shorthand is reduced to its colour, so that text keeps the ground it was written
for. Where a ground is lost, because it was a picture alone, the text's colour goes as well.
"""

import re
from collections.abc import Iterator, Mapping

DECLARATIONS_MAX = 200  # of one style attribute
_REFUSED = ("url", "\\", "@", "expression", "/*", "image", "var(", "attr(", "src(", "<", ">")
_COLOUR = re.compile(
    r"#[0-9a-f]{3,8}|(?:rgb|hsl)a?\([0-9a-z.,%/ +-]{1,64}\)|[a-z]{3,30}", re.IGNORECASE
)
_BARE_HEX = re.compile(r"[0-9a-f]{6}", re.IGNORECASE)
_TOKEN = re.compile(r"[^\s(),]{1,64}(?:\([^()]{0,64}\))?")
_ADDRESS = re.compile(r"url\([^()]*\)?", re.IGNORECASE)
_NO_COLOUR = frozenset({  # keywords of the `background` shorthand (CSS Backgrounds §2.10)
    "none", "repeat", "no-repeat", "repeat-x", "repeat-y", "space", "round", "scroll", "fixed",
    "local", "top", "left", "right", "bottom", "center", "auto", "cover", "contain", "border-box",
    "padding-box", "content-box", "text", "inherit", "initial", "unset", "revert",
})  # fmt: skip


def safe_style(style: str) -> str:
    """The declarations of a style attribute that may stay; "" when none may."""
    kept: list[tuple[str, str]] = []
    ground_lost = False
    for name, value in _declarations(style):
        if name == "background":
            colour = _colour_in(_ADDRESS.sub(" ", value))
            ground_lost |= not colour and "url" in value.lower()
            kept += [("background-color", colour)] if colour else []
        elif not any(part in value.lower() for part in _REFUSED):
            kept.append((name, value))
    if ground_lost and not any(name == "background-color" for name, _ in kept):
        kept = [(name, value) for name, value in kept if name != "color"]
    return ";".join(f"{name}:{value}" for name, value in kept)


def body_style(attributes: Mapping[str, str]) -> str:
    """The style that stands for the attributes of a `body` element (HTML §15.3.2)."""
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


def _colour_in(value: str) -> str:
    """The colour among the values of a `background` shorthand; "" when there is no colour."""
    for token in _TOKEN.findall(value):
        if token.lower() not in _NO_COLOUR and _COLOUR.fullmatch(token):
            return str(token)
    return ""


def _legacy_colour(value: str) -> str:
    value = value.strip()
    if _BARE_HEX.fullmatch(value):
        return f"#{value}"
    return value if _COLOUR.fullmatch(value) else ""
