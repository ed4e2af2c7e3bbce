"""Slots for answers that keep a whole mail in memory."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.config import ApiConfig
from api.problems import too_many


class Downloads:
    """Slots for answers that keep a whole mail in memory while a peer takes it."""

    def __init__(self, config: ApiConfig) -> None:
        self._config = config
        self._of_user: Counter[str] = Counter()

    @contextmanager
    def slot(self, user_id: str) -> Iterator[None]:
        """429 when the user has too many under way, or all have."""
        if (
            self._of_user[user_id] >= self._config.downloads_per_user
            or self._of_user.total() >= self._config.downloads_at_once
        ):
            raise too_many("Too many downloads at once.", self._config.retry_after_s)
        self._of_user[user_id] += 1
        try:
            yield
        finally:
            self._of_user[user_id] -= 1
            if not self._of_user[user_id]:
                del self._of_user[user_id]
