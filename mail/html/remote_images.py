"""Remote images of one mail, numbered from 1 in the order of its HTML."""

import re

IMAGES_MAX = 100  # different URLs of one mail
URL_MAX_CHARS = 2 * 1024
PREFIX = "images/"
_REMOTE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
_OWN = re.compile(rf"{PREFIX}(\d{{1,3}})", re.ASCII)


class RemoteImages:
    """Numbers remote images. The same HTML has the same numbers."""

    def __init__(self) -> None:
        self._links: dict[str, str] = {}

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(self._links)

    def link(self, source: str) -> str | None:
        """Return our link to the image, relative to the message resource; a link of ours again.

        None: the image is not remote, its URL is too long, or the mail has too many.
        """
        source = source.strip()
        own = _OWN.fullmatch(source)
        if own:
            return source if 0 < int(own[1]) <= len(self._links) else None
        if not _REMOTE.match(source) or len(source) > URL_MAX_CHARS:
            return None
        url = f"https:{source}" if source.startswith("//") else source
        if url not in self._links:
            if len(self._links) >= IMAGES_MAX:
                return None
            self._links[url] = f"{PREFIX}{len(self._links) + 1}"
        return self._links[url]
