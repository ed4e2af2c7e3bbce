"""What one client may cost: failed logins by address and peer, downloads by user. All bounded."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api.config import ApiConfig
from api.problems import too_many
from mail.peers import one_peer


class FailedLogins:
    """A sliding window of failures per key.

    A try is counted before the password is checked and taken back when it was right: else tries
    made at once would all pass.
    """

    def __init__(self, config: ApiConfig, clock_s: Callable[[], float]) -> None:
        self._config = config
        self._clock_s = clock_s
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def begin(self, address: str, client: str) -> Callable[[], None]:
        """Count a try. 429 when there were too many; else what takes it back."""
        limits, now_s = self._limits(address, client), self._clock_s()
        wait_s = self._longest_s(limits, now_s)
        if wait_s > 0:
            raise too_many("Too many failed sign-ins; wait.", wait_s)
        for key in limits:
            self._add(key, now_s)

        def take_back() -> None:
            for key in limits:
                self._forgive(key, now_s)

        return take_back

    def is_locked(self, address: str, client: str) -> bool:
        """Whether the next try would be refused."""
        return self._longest_s(self._limits(address, client), self._clock_s()) > 0

    def _limits(self, address: str, client: str) -> dict[str, int]:
        peer = f"peer:{one_peer(client)}"
        return {
            f"{peer} address:{address}": self._config.login_failures_per_address,
            f"address:{address}": self._config.login_failures_everywhere,
            peer: self._config.login_failures_per_peer,
        }

    def _longest_s(self, limits: dict[str, int], now_s: float) -> float:
        return max(self._wait_s(key, limit, now_s) for key, limit in limits.items())

    def _wait_s(self, key: str, limit: int, now_s: float) -> float:
        times = self._failures.get(key)
        while times and times[0] <= now_s - self._config.login_window_s:
            times.popleft()
        if times is not None and not times:
            del self._failures[key]
        return (
            times[-limit] + self._config.login_window_s - now_s
            if times and len(times) >= limit
            else 0.0
        )

    def _add(self, key: str, now_s: float) -> None:
        self._failures.setdefault(key, deque()).append(now_s)
        self._failures.move_to_end(key)
        while len(self._failures) > self._config.login_keys:
            self._failures.popitem(last=False)

    def _forgive(self, key: str, at_s: float) -> None:
        times = self._failures.get(key)
        if times and at_s in times:
            times.remove(at_s)


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
