"""Media types without active content, which a browser may display.

SVG, HTML and XML can carry scripts.
"""

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
