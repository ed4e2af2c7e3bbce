"""The open sockets of this process: how many there may be, and which end with a sign-in."""

import asyncio
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from api.config import ApiConfig
from api.metrics import ApiMetrics
from api.problems import too_many, unavailable
from edge.trusted_networks import one_peer
from schemas.events.mailbox_events import MailboxChanged, MailboxEvent

GOING_AWAY = 1001  # RFC 6455 §7.4.1
POLICY = 1008
TRY_AGAIN_LATER = 1013  # registered with IANA
SIGNED_OUT = 4401  # private use (RFC 6455 §7.4.2): sign in before coming back
FEED_GONE = 4410  # private use: what comes after `since` is not kept any more

_ENDED_MAX = 10_000  # a socket opens within seconds; more sessions do not end meanwhile
_EVENT_BYTES = 512  # of an event without changes
_CHANGE_BYTES = 160
_PLACE_BYTES = 64
CloseReason = tuple[int, str]  # close code, reason
TOO_SLOW: CloseReason = (TRY_AGAIN_LATER, "too slow")


class SendQueue:
    """Events on their way to one socket, bounded in number and in bytes."""

    def __init__(self, limit: int, max_bytes: int, *, live: bool = True) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._live = live
        self._noted_seq = 0
        self._events: deque[tuple[MailboxChanged, int]] = deque()  # with their sizes in bytes
        self._size_bytes = 0
        self._filled = asyncio.Event()
        self._last_seq = 0
        self.ending: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()

    def sink(self, event: MailboxEvent) -> None:
        """Take an event of the feed. One seen already is dropped: the feed may repeat itself."""
        if not isinstance(event, MailboxChanged) or event.seq <= self._last_seq:
            return
        if not self._live:
            self._noted_seq = max(self._noted_seq, event.seq)
            return
        size_bytes = _size_bytes(event)
        is_full = (
            self._size_bytes + size_bytes > self._max_bytes or len(self._events) >= self._limit
        )
        if self._events and is_full:
            self.end(*TOO_SLOW)
            return
        self._last_seq = event.seq
        self._events.append((event, size_bytes))
        self._size_bytes += size_bytes
        self._filled.set()

    def go_live(self, told_seq: int) -> bool:
        """Keep events from here on; False: the feed is ahead of what was told."""
        if self._noted_seq > told_seq:
            return False
        self._live, self._last_seq = True, told_seq
        return True

    async def take(self) -> MailboxChanged:
        """Wait for the next event."""
        while not self._events:
            self._filled.clear()
            await self._filled.wait()
        event, size_bytes = self._events.popleft()
        self._size_bytes -= size_bytes
        return event

    def end(self, code: int, reason: str) -> None:
        """The first reason stays."""
        if not self.ending.done():
            self.ending.set_result((code, reason))


def _size_bytes(event: MailboxChanged) -> int:
    """An estimate: a step of 500 changes is some 100 KB, with all keywords allowed some 1 MB."""
    return _EVENT_BYTES + sum(
        _CHANGE_BYTES + _PLACE_BYTES * len(one.places) + sum(map(len, one.keywords))
        for one in event.changes
    )


class PushConnections:
    """Counts by user, and outboxes by sign-in."""

    def __init__(self, config: ApiConfig, metrics: ApiMetrics) -> None:
        self._config = config
        self._metrics = metrics
        self._unsigned: Counter[str] = Counter()  # by peer
        self._of_user: Counter[str] = Counter()
        self._open: dict[SendQueue, tuple[str, str]] = {}  # -> user id, token's SHA-256
        self._of_session: defaultdict[str, set[SendQueue]] = defaultdict(set)
        self._ended: OrderedDict[str, None] = OrderedDict()  # sessions, the latest last

    def may_open(self, user_id: str) -> bool:
        return (
            len(self._open) < self._config.sockets
            and self._of_user[user_id] < self._config.sockets_per_user
        )

    @contextmanager
    def unsigned(self, address: str) -> Iterator[None]:
        """While a socket waits for its token. 429: its peer has too many; 503: all have."""
        peer = one_peer(address)
        if self._unsigned[peer] >= self._config.sockets_unsigned_per_peer:
            raise too_many("Too many sockets wait for a token.", self._config.retry_after_s)
        if self._unsigned.total() >= self._config.sockets_unsigned:
            raise unavailable(self._config.retry_after_s)
        self._unsigned[peer] += 1
        try:
            yield
        finally:
            self._unsigned[peer] -= 1
            if not self._unsigned[peer]:
                del self._unsigned[peer]

    def add(self, outbox: SendQueue, *, user_id: str, token_sha256: str) -> None:
        """Take note of a socket. Its session may have ended since it was looked up."""
        self._open[outbox] = (user_id, token_sha256)
        self._of_session[token_sha256].add(outbox)
        if token_sha256 in self._ended:
            outbox.end(SIGNED_OUT, "signed out")
        self._of_user[user_id] += 1
        self._metrics.sockets = len(self._open)

    def remove(self, outbox: SendQueue) -> None:
        user_id, token_sha256 = self._open.pop(outbox)
        self._of_session[token_sha256].discard(outbox)
        if not self._of_session[token_sha256]:
            del self._of_session[token_sha256]
        self._of_user[user_id] -= 1
        if not self._of_user[user_id]:
            del self._of_user[user_id]
        self._metrics.sockets = len(self._open)

    def end_session(self, token_sha256: str) -> None:
        """Close its sockets, and those that are being opened."""
        self._ended[token_sha256] = None
        while len(self._ended) > _ENDED_MAX:
            self._ended.popitem(last=False)
        for outbox in self._of_session.get(token_sha256, ()):
            outbox.end(SIGNED_OUT, "signed out")

    def end_all(self) -> None:
        for outbox in self._open:
            outbox.end(GOING_AWAY, "restarting")
