"""Mails under way: who may begin one, what memory it may take, and which one gives way.

Of slots and memory one peer has at most a quarter, and one IPv6 site (/48) half. An eighth is for
mails that declare a SIZE under 1 MiB. When all is taken the slowest mail ends with 421, so that
connections which hold much and send little do not keep others out. Trusted networks have no share.
"""

import time
from collections import Counter
from collections.abc import Callable

from edge.trusted_networks import one_network, one_peer
from smtp.server.config import SmtpConfig
from smtp.server.stats import SmtpStats


class Transfer:
    """One mail: its owner's share, the memory it holds, and how fast its data comes."""

    def __init__(self, client: str, declared_bytes: int, config: SmtpConfig, now_s: float) -> None:
        self.trusted = client in config.trusted
        shares = (one_peer(client), one_network(client))
        self.keys = () if self.trusted else tuple(dict.fromkeys(shares))  # one for IPv4
        self.small = 0 < declared_bytes < config.data_small_bytes
        self.held_bytes = 0
        self.reading = True  # False: all has come, and it is being published
        self.give_way: Callable[[], None] = lambda: None
        self._config = config
        self._began_s = now_s
        self._window_s = now_s  # where the present window began
        self._windows_bytes = (0, 0)  # of the one before, of the present one

    def got(self, size_bytes: int, now_s: float) -> None:
        if now_s - self._window_s >= self._config.data_window_s:
            self._window_s += self._config.data_window_s
            self._windows_bytes = (self._windows_bytes[1], 0)
        before, present = self._windows_bytes
        self._windows_bytes = (before, present + size_bytes)

    def patience_s(self, now_s: float) -> float:
        """Until when it may stay silent: to the end of the window, or of the next one.

        A window of `data_window_s` wants `data_least_bytes_s`, and more of what holds more.
        """
        config = self._config
        least_bytes_s = max(config.data_least_bytes_s, self.held_bytes / config.data_hold_max_s)
        served = self._windows_bytes[1] >= least_bytes_s * config.data_window_s
        return self._window_s + config.data_window_s * (1 + served) - now_s

    def slow_bytes_s(self, now_s: float) -> float | None:
        """Its rate over one to two windows; None: it is too young or too fast to give way."""
        config = self._config
        if self.trusted or not self.reading or now_s - self._began_s < config.data_spared_s:
            return None
        since_s = max(self._began_s, self._window_s - config.data_window_s)
        rate = sum(self._windows_bytes) / max(now_s - since_s, 0.001)
        return rate if rate < config.data_fast_bytes_s else None


class Transfers:
    """Slots and memory of one server."""

    def __init__(
        self, config: SmtpConfig, stats: SmtpStats, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._stats = stats
        self._clock = clock
        self._under_way: dict[Transfer, None] = {}  # in the order of their beginning
        self._slots: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def begin(self, client: str, declared_bytes: int) -> Transfer | None:
        """None: no slot for `client`. `declared_bytes`: 0 when MAIL had no SIZE. Then `end` it."""
        transfer = Transfer(client, declared_bytes, self._config, self._clock())
        most = self._config.data_max
        if not _within_shares(self._slots, transfer, 1, most):
            return None
        if not self._make_room(
            lambda: len(self._under_way) + 1 <= _open_to(most, small=transfer.small)
        ):
            return None
        self._under_way[transfer] = None
        self._slots.update(transfer.keys)
        self._stats.data_in_progress += 1
        return transfer

    def hold(self, transfer: Transfer, size_bytes: int) -> bool:
        """Let the mail hold `size_bytes` in all; False, and nothing changed: no memory for it."""
        more = size_bytes - transfer.held_bytes
        most = self._config.held_max_bytes
        small = transfer.small and size_bytes < self._config.data_small_bytes
        if more > 0:
            if not _within_shares(self._bytes, transfer, more, most):
                return False
            if not self._make_room(
                lambda: self._stats.held_bytes + more <= _open_to(most, small=small), but=transfer
            ):
                return False
        self._add_bytes(transfer, more)
        return True

    def end(self, transfer: Transfer) -> None:
        """The mail is done, or given up; repeating it changes nothing."""
        if transfer not in self._under_way:
            return
        del self._under_way[transfer]
        self._slots.subtract(transfer.keys)
        self._add_bytes(transfer, -transfer.held_bytes)
        for key in transfer.keys:
            if self._slots[key] <= 0:
                del self._slots[key], self._bytes[key]
        self._stats.data_in_progress -= 1

    def _add_bytes(self, transfer: Transfer, more: int) -> None:
        transfer.held_bytes += more
        self._stats.held_bytes += more
        for key in transfer.keys:
            self._bytes[key] += more

    def _make_room(self, fits: Callable[[], bool], but: Transfer | None = None) -> bool:
        """End slow mails, the slowest first, until `fits`; False when there is none to end."""
        while not fits():
            now_s = self._clock()
            rates = {one: one.slow_bytes_s(now_s) for one in self._under_way if one is not but}
            slow = [(rate, one) for one, rate in rates.items() if rate is not None]
            if not slow:
                return False
            _, slowest = min(slow, key=lambda pair: pair[0])
            self.end(slowest)
            slowest.give_way()
        return True


def _within_shares(used: Counter[str], transfer: Transfer, more: int, most: int) -> bool:
    """A quarter of `most` for a peer, half for a site; at least one slot."""
    limits = (most // 4, most // 2)
    return all(
        used[key] + more <= max(limit, 1) for key, limit in zip(transfer.keys, limits, strict=False)
    )


def _open_to(most: int, *, small: bool) -> int:
    return most if small else most - most // 8
