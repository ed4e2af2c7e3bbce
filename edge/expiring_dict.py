"""Dictionary whose entries expire a fixed time after they were set, in bounded memory."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ExpiringDict(Generic[K, V]):
    """At most `entries_max` entries, each for `keep_s` seconds; beyond it the oldest is dropped.

    Reading an entry does not extend its time. `keep_s` 0: nothing is kept.
    """

    def __init__(
        self, *, keep_s: float, entries_max: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keep_s = keep_s
        self._entries_max = entries_max
        self._clock = clock
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()  # oldest first

    def __len__(self) -> int:
        self._expire()
        return len(self._entries)

    def __iter__(self) -> Iterator[K]:
        """The keys, in the order in which they were set."""
        self._expire()
        return iter(tuple(self._entries))

    def set(self, key: K, value: V) -> None:
        """Set or replace the entry of `key`; its time begins."""
        self._entries.pop(key, None)
        self._entries[key] = (self._clock(), value)
        self._expire()
        while len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)

    def get(self, key: K) -> V | None:
        """The value of `key`; None: not set, or expired."""
        self._expire()
        entry = self._entries.get(key)
        return None if entry is None else entry[1]

    def _expire(self) -> None:
        oldest_s = self._clock() - self._keep_s
        while self._entries:
            set_at_s, _ = next(iter(self._entries.values()))
            if set_at_s > oldest_s:
                return
            self._entries.popitem(last=False)
