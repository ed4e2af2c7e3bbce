"""Slots and memory for long transfers (downloads, long responses, uploads), shared among users."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.config import ApiConfig
from api.problems import too_many
from schemas.ids import UserId


class TransferSlots:
    """Counts of transfers in progress and of their memory, by user, so that no user takes all.

    `what`: plural noun, for the client that is refused.
    """

    def __init__(
        self, what: str, *, at_once: int, per_user: int, max_bytes: int, retry_after_s: float
    ) -> None:
        self._what = what
        self._at_once = at_once
        self._per_user = per_user
        self._max_bytes = max_bytes
        self._retry_after_s = retry_after_s
        self._of_user: Counter[str] = Counter()
        self._bytes_of_user: Counter[str] = Counter()

    @contextmanager
    def slot(self, user_id: UserId, size_bytes: int) -> Iterator[None]:
        """Reserve one slot and `size_bytes` of memory within the block.

        Raises Problem 429: no slot or not enough memory is free, or the user's share is used up.
        A user with slots in use gets a further slot only while his slots are fewer than half of the
        free slots, and his memory is at most half of the free memory.
        """
        if not self._has_room(user_id, size_bytes):
            raise too_many(f"Too many {self._what} at once.", self._retry_after_s)
        self._take(user_id, 1, size_bytes)
        try:
            yield
        finally:
            self._take(user_id, -1, -size_bytes)

    def _has_room(self, user_id: UserId, size_bytes: int) -> bool:
        own = self._of_user[user_id]
        free = self._at_once - self._of_user.total()
        free_bytes = self._max_bytes - self._bytes_of_user.total()
        if free < 1 or size_bytes > free_bytes or own >= self._per_user:
            return False
        own_bytes = self._bytes_of_user[user_id] + size_bytes
        return not own or (own < free / 2 and own_bytes <= free_bytes / 2)

    def _take(self, user_id: UserId, count: int, size_bytes: int) -> None:
        self._of_user[user_id] += count
        self._bytes_of_user[user_id] += size_bytes
        if not self._of_user[user_id]:
            del self._of_user[user_id], self._bytes_of_user[user_id]


def download_slots(config: ApiConfig) -> TransferSlots:
    return TransferSlots(
        "downloads",
        at_once=config.downloads_at_once,
        per_user=config.downloads_per_user,
        max_bytes=config.downloads_max_bytes,
        retry_after_s=config.retry_after_s,
    )


def upload_slots(config: ApiConfig) -> TransferSlots:
    return TransferSlots(
        "uploads",
        at_once=config.uploads_at_once,
        per_user=config.uploads_per_user,
        max_bytes=config.uploads_max_bytes,
        retry_after_s=config.retry_after_s,
    )
