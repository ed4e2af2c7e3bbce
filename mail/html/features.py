"""Features of the untrusted HTML of a mail: remote images, own colours, quotations.

Read from the tags of the mail before it is sanitised. Accepts any text, never raises. Linear time.
"""

import html as entities
import re

import msgspec

from mail.html.quotes import is_quote
from mail.html.tokenizer import HtmlTokens, markup

_REMOTE = re.compile(r"\s*(?:https?:|//)", re.IGNORECASE)
_COLOUR = re.compile(r"(?:^|[\s;])(?:color|background(?:-color)?)\s*:", re.IGNORECASE)
_TINY = re.compile(r"\s*0*[01](?:\.0*)?(?:px)?\s*", re.IGNORECASE)
_HIDDEN = re.compile(
    r"(?:^|[\s;])(?:display\s*:\s*none|(?:max-)?(?:width|height)\s*:\s*0*[01](?:px)?\s*(?:[;!]|$))",
    re.IGNORECASE,
)
_VALUE_MAX_CHARS = 4 * 1024  # read of one attribute


class HtmlFeatures(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader should know before the HTML is displayed.

    `trackers`: remote images that are invisible. `own_colours`: the mail sets colours of text or
    background, so that it may be illegible on another background.
    """

    remote_images: int = 0
    trackers: int = 0
    own_colours: bool = False
    quoted: bool = False


NO_FEATURES = HtmlFeatures()


def features_of(html: str) -> HtmlFeatures:
    """Return the features of `html`, which is not sanitised."""
    remote = trackers = 0
    own_colours = quoted = False
    for item in markup(html):
        if not item.name or item.closes:
            continue
        values = _attributes(item)
        if item.name == "img" and _REMOTE.match(values.get("src", "")):
            remote += 1
            trackers += _is_invisible(values)
        own_colours = own_colours or _has_colours(item.name, values)
        quoted = quoted or is_quote(item.name, values.get("class", ""), values.get("id", ""))
    return HtmlFeatures(
        remote_images=remote, trackers=trackers, own_colours=own_colours, quoted=quoted
    )


def _attributes(item: HtmlTokens) -> dict[str, str]:
    """Return the attributes by name; of attributes with the same name the first one counts."""
    values: dict[str, str] = {}
    for name, value in item.attributes():
        values.setdefault(name, entities.unescape(value[:_VALUE_MAX_CHARS]))
    return values


def _is_invisible(values: dict[str, str]) -> bool:
    sizes = (values.get("width", ""), values.get("height", ""))
    return any(map(_TINY.fullmatch, sizes)) or _HIDDEN.search(values.get("style", "")) is not None


def _has_colours(name: str, values: dict[str, str]) -> bool:
    if values.get("bgcolor") or _COLOUR.search(values.get("style", "")):
        return True
    attribute = {"font": "color", "body": "text"}.get(name)
    return bool(attribute and values.get(attribute))
