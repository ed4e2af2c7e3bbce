"""Rules of uploads that every adapter follows."""

from collections.abc import Sequence

from mail.ports.uploads import TooManyUploads
from schemas.uploads import Upload, UploadQuota


def spared(
    alive: Sequence[Upload], upload: Upload, *, quota: UploadQuota, now_ms: int
) -> list[Upload]:
    """Return the uploads that expire to make room for `upload`.

    `alive`: the user's uploads, the least recently used first. Raises TooManyUploads: there is no
    room without uploads that were used in the last `quota.keep_ms`.
    """
    size_bytes = sum(row.size_bytes for row in alive) + upload.size_bytes
    ended: list[Upload] = []
    while size_bytes > quota.size_bytes or len(alive) - len(ended) + 1 > quota.uploads:
        if len(ended) == len(alive) or alive[len(ended)].used_at_ms > now_ms - quota.keep_ms:
            raise TooManyUploads
        size_bytes -= alive[len(ended)].size_bytes
        ended.append(alive[len(ended)])
    return ended
