"""Slots and memory for downloads and long responses, shared so that no user takes all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.config import ApiConfig
from api.problems import too_many
from schemas.ids import UserId


class DownloadSlots:
    """Counts of downloads in progress and of their memory, by user."""

    def __init__(self, config: ApiConfig) -> None:
        self._config = config
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
            raise too_many("Too many downloads at once.", self._config.retry_after_s)
        self._take(user_id, 1, size_bytes)
        try:
            yield
        finally:
            self._take(user_id, -1, -size_bytes)

    def _has_room(self, user_id: UserId, size_bytes: int) -> bool:
        config, own = self._config, self._of_user[user_id]
        free = config.downloads_at_once - self._of_user.total()
        free_bytes = config.downloads_max_bytes - self._bytes_of_user.total()
        if free < 1 or size_bytes > free_bytes or own >= config.downloads_per_user:
            return False
        own_bytes = self._bytes_of_user[user_id] + size_bytes
        return not own or (own < free / 2 and own_bytes <= free_bytes / 2)

    def _take(self, user_id: UserId, count: int, size_bytes: int) -> None:
        self._of_user[user_id] += count
        self._bytes_of_user[user_id] += size_bytes
        if not self._of_user[user_id]:
            del self._of_user[user_id], self._bytes_of_user[user_id]
