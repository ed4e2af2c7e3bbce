"""Media types without active content, which a browser may display.

SVG, HTML and XML can carry scripts.
"""

import re
from typing import Literal

Preview = Literal["image", "pdf", "text"]
_PREVIEWS: dict[str, Preview] = {
    "image/png": "image",
    "image/jpeg": "image",
    "image/gif": "image",
    "image/webp": "image",
    "text/plain": "text",
    "application/pdf": "pdf",
}
PASSIVE_TYPES = frozenset(_PREVIEWS)


def preview_of(content_type: str) -> Preview | None:
    """Return how a browser may display a file of this type; None: it may not."""
    return _PREVIEWS.get(content_type.lower())


_IMAGES = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    "image/avif": re.compile(rb".{4}ftypavi[fs]", re.DOTALL),
}


def image_type_of(octets: bytes) -> str | None:
    """Return the type of an image by its first octets; None: no image that browsers may display."""
    return next((name for name, first in _IMAGES.items() if first.match(octets)), None)
