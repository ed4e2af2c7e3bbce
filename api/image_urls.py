"""URLs of the remote images of the mails that were displayed last."""

from collections import OrderedDict

MAILS_MAX = 64  # of at most 100 URLs of 2 KiB


class ImageUrls:
    """Remembers the URLs of MAILS_MAX mails, by the SHA-256 of the mail.

    A browser asks for each image of a mail by itself; without this each would parse the mail again.
    """

    def __init__(self) -> None:
        self._urls: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def add(self, sha256: str, urls: tuple[str, ...]) -> None:
        self._urls[sha256] = urls
        self._urls.move_to_end(sha256)
        if len(self._urls) > MAILS_MAX:
            self._urls.popitem(last=False)

    def get(self, sha256: str) -> tuple[str, ...] | None:
        return self._urls.get(sha256)
