"""List-Unsubscribe (RFC 2369 §3.2) and one-click unsubscription (RFC 8058).

Accepts any header, never raises. Linear time.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

URL_MAX_CHARS = 2_000
_LINK = re.compile(rf"<\s*([^<>\s]{{1,{URL_MAX_CHARS}}})\s*>")
_ONE_CLICK = "list-unsubscribe=one-click"


class UnsubscribeOffer(NamedTuple):
    """How a sender of list mail accepts unsubscriptions. `url` is HTTPS; `mailto` is a URL."""

    one_click: bool
    url: str | None
    mailto: str | None


def unsubscribe_offer(headers: Iterable[tuple[str, str]]) -> UnsubscribeOffer | None:
    """Return the offer in the header of a mail; None: it has no usable offer.

    `headers`: names and decoded values, in order. The first field of each name counts.
    """
    values: dict[str, str] = {}
    for name, value in headers:
        values.setdefault(name.lower(), value)
    links = _LINK.findall(values.get("list-unsubscribe", ""))
    url = next(filter(_is_https, links), None)
    mailto = next((link for link in links if link[:7].lower() == "mailto:"), None)
    if url is None and mailto is None:
        return None
    post = "".join(values.get("list-unsubscribe-post", "").split()).lower()
    return UnsubscribeOffer(
        one_click=url is not None and post == _ONE_CLICK, url=url, mailto=mailto
    )


def _is_https(link: str) -> bool:
    try:
        parts = urlsplit(link)
        return parts.scheme == "https" and bool(parts.hostname)
    except ValueError:
        return False
