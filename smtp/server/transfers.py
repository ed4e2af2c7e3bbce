"""Slots and memory of mails in progress, and which mail gives way when all are taken.

One peer gets at most a quarter of slots and memory, one IPv6 site (/48) half. An eighth is kept for
mails that declare a SIZE under 1 MiB. When all are taken, the slowest mail ends with 421: else
connections that hold much and send little would block others. Trusted networks have no limit.
"""

import time
from collections import Counter
from collections.abc import Callable

from edge.trusted_networks import one_network, one_peer
from smtp.server.config import SmtpConfig
from smtp.server.stats import SmtpStats


class Transfer:
    """One mail in progress: the shares it counts in, the memory it holds, the rate of its data."""

    def __init__(self, client: str, declared_bytes: int, config: SmtpConfig, now_s: float) -> None:
        self.trusted = client in config.trusted
        shares = (one_peer(client), one_network(client))
        self.keys = () if self.trusted else tuple(dict.fromkeys(shares))  # one key for IPv4
        self.small = 0 < declared_bytes < config.data_small_bytes
        self.held_bytes = 0
        self.reading = True  # False: all data has come, the mail is being published
        self.give_way: Callable[[], None] = lambda: None
        self._config = config
        self._began_s = now_s
        self._window_s = now_s  # begin of the current window
        self._windows_bytes = (0, 0)  # of the previous and the current window

    def add(self, size_bytes: int, now_s: float) -> None:
        """Count `size_bytes` of data that came at `now_s`."""
        if now_s - self._window_s >= self._config.data_window_s:
            self._window_s += self._config.data_window_s
            self._windows_bytes = (self._windows_bytes[1], 0)
        previous, current = self._windows_bytes
        self._windows_bytes = (previous, current + size_bytes)

    def silence_max_s(self, now_s: float) -> float:
        """Return the seconds for which the client may send no octet of this mail.

        The rate of a mail is measured in windows of `data_window_s`. The silence may last to the
        end of the present window, or of the next window if the present window met the least rate.
        The least rate is `data_least_bytes_s`; it is higher for a mail that holds much memory.
        """
        config = self._config
        least_bytes_s = max(config.data_least_bytes_s, self.held_bytes / config.data_hold_max_s)
        met = self._windows_bytes[1] >= least_bytes_s * config.data_window_s
        return self._window_s + config.data_window_s * (1 + met) - now_s

    def slow_bytes_s(self, now_s: float) -> float | None:
        """Its rate over one to two windows; None: it does not give way."""
        config = self._config
        if self.trusted or not self.reading or now_s - self._began_s < config.data_spared_s:
            return None
        since_s = max(self._began_s, self._window_s - config.data_window_s)
        rate = sum(self._windows_bytes) / max(now_s - since_s, 0.001)
        return rate if rate < config.data_fast_bytes_s else None


class Transfers:
    """Slots and memory of all mails in progress of one server."""

    def __init__(
        self, config: SmtpConfig, stats: SmtpStats, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._stats = stats
        self._clock = clock
        self._in_progress: dict[Transfer, None] = {}  # in the order of their begin
        self._slots: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def begin(self, client: str, declared_bytes: int) -> Transfer | None:
        """Take a slot for a mail of `client`; None: no slot is free. `end` must follow.

        `declared_bytes`: 0 when MAIL had no SIZE.
        """
        transfer = Transfer(client, declared_bytes, self._config, self._clock())
        most = self._config.data_max
        if not _within_shares(self._slots, transfer, 1, most):
            return None
        if not self._make_room(
            lambda: len(self._in_progress) + 1 <= _open_to(most, small=transfer.small)
        ):
            return None
        self._in_progress[transfer] = None
        self._slots.update(transfer.keys)
        self._stats.data_in_progress += 1
        return transfer

    def hold(self, transfer: Transfer, size_bytes: int) -> bool:
        """Let the mail hold `size_bytes` in total; False without memory, and nothing changes."""
        more = size_bytes - transfer.held_bytes
        most = self._config.held_max_bytes
        small = transfer.small and size_bytes < self._config.data_small_bytes
        if more > 0:
            if not _within_shares(self._bytes, transfer, more, most):
                return False
            if not self._make_room(
                lambda: self._stats.held_bytes + more <= _open_to(most, small=small),
                exempt=transfer,
            ):
                return False
        self._add_bytes(transfer, more)
        return True

    def end(self, transfer: Transfer) -> None:
        """Release slot and memory of the mail. Safe to repeat."""
        if transfer not in self._in_progress:
            return
        del self._in_progress[transfer]
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

    def _make_room(self, fits: Callable[[], bool], exempt: Transfer | None = None) -> bool:
        """End slow mails, the slowest first, until `fits`; False when no slow mail is left."""
        while not fits():
            now_s = self._clock()
            rates = {
                each: each.slow_bytes_s(now_s) for each in self._in_progress if each is not exempt
            }
            slow = [(rate, each) for each, rate in rates.items() if rate is not None]
            if not slow:
                return False
            _, slowest = min(slow, key=lambda pair: pair[0])
            self.end(slowest)
            slowest.give_way()
        return True


def _within_shares(used: Counter[str], transfer: Transfer, more: int, most: int) -> bool:
    """Whether `more` fits a quarter of `most` for the peer and half for the site; at least 1."""
    limits = (most // 4, most // 2)
    return all(
        used[key] + more <= max(limit, 1) for key, limit in zip(transfer.keys, limits, strict=False)
    )


def _open_to(most: int, *, small: bool) -> int:
    """The part of `most` that a mail may use: an eighth is kept for small mails."""
    return most if small else most - most // 8
