"""Open WebSockets of this process: their limits, send queues, and close with the session."""

import asyncio
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from api.config import ApiConfig
from api.metrics import ApiMetrics
from api.problems import too_many, unavailable
from edge.trusted_networks import one_peer
from schemas.events.mailbox_events import MailboxChanged, MailboxEvent
from schemas.ids import UserId

GOING_AWAY = 1001  # RFC 6455 §7.4.1
POLICY = 1008
TRY_AGAIN_LATER = 1013  # registered with IANA
SIGNED_OUT = 4401  # private use (RFC 6455 §7.4.2): log in before reconnecting
FEED_GONE = 4410  # private use: the changes after `since` are no longer kept

_ENDED_MAX = 10_000  # sessions that can end while a socket opens, which takes seconds
_EVENT_BYTES = 512  # estimate for an event without changes
_CHANGE_BYTES = 160
_PLACE_BYTES = 64
CloseReason = tuple[int, str]  # close code, reason
TOO_SLOW: CloseReason = (TRY_AGAIN_LATER, "too slow")


class SendQueue:
    """Events that wait to be sent on one socket, limited in number and in bytes."""

    def __init__(self, limit: int, max_bytes: int, *, live: bool = True) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._live = live
        self._announced_seq = 0
        self._events: deque[tuple[MailboxChanged, int]] = deque()  # with their sizes in bytes
        self._size_bytes = 0
        self._filled = asyncio.Event()
        self._last_seq = 0
        self.ending: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()

    def sink(self, event: MailboxEvent) -> None:
        """Queue a live event, unless it is a repeat. A full queue ends the socket with TOO_SLOW."""
        if not isinstance(event, MailboxChanged) or event.seq <= self._last_seq:
            return
        if not self._live:
            self._announced_seq = max(self._announced_seq, event.seq)
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

    def go_live(self, sent_seq: int) -> bool:
        """Queue events from now on; False if an event after `sent_seq` has been skipped."""
        if self._announced_seq > sent_seq:
            return False
        self._live, self._last_seq = True, sent_seq
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
        """Request the close of the socket; the first reason counts."""
        if not self.ending.done():
            self.ending.set_result((code, reason))


def _size_bytes(event: MailboxChanged) -> int:
    """Estimated memory: about 100 KB for 500 changes, up to 1 MB with all allowed keywords."""
    return _EVENT_BYTES + sum(
        _CHANGE_BYTES + _PLACE_BYTES * len(change.places) + sum(map(len, change.keywords))
        for change in event.changes
    )


class PushConnections:
    """Registry of open sockets: counts by user, send queues by session."""

    def __init__(self, config: ApiConfig, metrics: ApiMetrics) -> None:
        self._config = config
        self._metrics = metrics
        self._unsigned: Counter[str] = Counter()  # by peer
        self._count_of_user: Counter[str] = Counter()
        self._open: dict[SendQueue, tuple[str, str]] = {}  # -> user id, SHA-256 of the token
        self._queues_of_session: defaultdict[str, set[SendQueue]] = defaultdict(set)
        self._ended: OrderedDict[str, None] = (
            OrderedDict()
        )  # token hashes of ended sessions, latest last

    def may_open(self, user_id: UserId) -> bool:
        return (
            len(self._open) < self._config.sockets
            and self._count_of_user[user_id] < self._config.sockets_per_user
        )

    @contextmanager
    def unsigned(self, address: str) -> Iterator[None]:
        """Count a socket of `address` while it waits for its token.

        Raises Problem: 429 at the limit of the peer, 503 at the limit of all peers.
        """
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

    def add(self, queue: SendQueue, *, user_id: UserId, token_sha256: str) -> None:
        """Register a socket; end it if its session has ended since it was authenticated."""
        self._open[queue] = (user_id, token_sha256)
        self._queues_of_session[token_sha256].add(queue)
        if token_sha256 in self._ended:
            queue.end(SIGNED_OUT, "signed out")
        self._count_of_user[user_id] += 1
        self._metrics.sockets = len(self._open)

    def remove(self, queue: SendQueue) -> None:
        user_id, token_sha256 = self._open.pop(queue)
        self._queues_of_session[token_sha256].discard(queue)
        if not self._queues_of_session[token_sha256]:
            del self._queues_of_session[token_sha256]
        self._count_of_user[user_id] -= 1
        if not self._count_of_user[user_id]:
            del self._count_of_user[user_id]
        self._metrics.sockets = len(self._open)

    def end_session(self, token_sha256: str) -> None:
        """Close the session's sockets, and those that are being opened."""
        self._ended[token_sha256] = None
        while len(self._ended) > _ENDED_MAX:
            self._ended.popitem(last=False)
        for queue in self._queues_of_session.get(token_sha256, ()):
            queue.end(SIGNED_OUT, "signed out")

    def end_all(self) -> None:
        for queue in self._open:
            queue.end(GOING_AWAY, "restarting")
