"""The open sockets of this process: how many there may be, and which end with a sign-in."""

import asyncio
from collections import Counter, deque

from api.config import ApiConfig
from api.metrics import ApiMetrics
from schemas.events import MailboxChanged, MailboxEvent

GOING_AWAY = 1001  # RFC 6455 §7.4.1
POLICY = 1008
TRY_AGAIN_LATER = 1013  # registered with IANA
SIGNED_OUT = 4401  # private use (RFC 6455 §7.4.2): sign in before coming back
FEED_GONE = 4410  # private use: what comes after `since` is not kept any more

Ending = tuple[int, str]  # close code, reason
TOO_SLOW: Ending = (TRY_AGAIN_LATER, "too slow")


class Outbox:
    """Events on their way to one socket; bounded, so that a slow peer costs little."""

    def __init__(self, limit: int, *, live: bool = True) -> None:
        self._limit = limit
        self._live = live
        self._noted_seq = 0
        self._events: deque[MailboxChanged] = deque()
        self._filled = asyncio.Event()
        self._last_seq = 0
        self.ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def sink(self, event: MailboxEvent) -> None:
        """Take an event of the feed. One seen already is dropped: the feed may repeat itself."""
        if not isinstance(event, MailboxChanged) or event.seq <= self._last_seq:
            return
        if not self._live:
            self._noted_seq = max(self._noted_seq, event.seq)
            return
        if len(self._events) >= self._limit:
            self.end(*TOO_SLOW)
            return
        self._last_seq = event.seq
        self._events.append(event)
        self._filled.set()

    def go_live(self, told_seq: int) -> bool:
        """Keep events from here on; False: the feed is ahead of what was told."""
        if self._noted_seq > told_seq:
            return False
        self._live, self._last_seq = True, told_seq
        return True

    async def take(self) -> list[MailboxChanged]:
        """All that waits, at least one."""
        await self._filled.wait()
        self._filled.clear()
        taken = list(self._events)
        self._events.clear()
        return taken

    def end(self, code: int, reason: str) -> None:
        """The first reason stays."""
        if not self.ending.done():
            self.ending.set_result((code, reason))


class Sockets:
    """Counts by user, and outboxes by sign-in."""

    def __init__(self, config: ApiConfig, metrics: ApiMetrics) -> None:
        self._config = config
        self._metrics = metrics
        self._unsigned = 0
        self._of_user: Counter[str] = Counter()
        self._open: dict[Outbox, tuple[str, str]] = {}  # -> user id, token's SHA-256

    def may_open(self, user_id: str) -> bool:
        return (
            len(self._open) < self._config.sockets
            and self._of_user[user_id] < self._config.sockets_per_user
        )

    def begin_unsigned(self) -> bool:
        """Whether one more may wait for its token; then `end_unsigned` is owed."""
        if self._unsigned >= self._config.sockets_unsigned:
            return False
        self._unsigned += 1
        return True

    def end_unsigned(self) -> None:
        self._unsigned -= 1

    def add(self, outbox: Outbox, *, user_id: str, token_sha256: str) -> None:
        self._open[outbox] = (user_id, token_sha256)
        self._of_user[user_id] += 1
        self._metrics.sockets = len(self._open)

    def remove(self, outbox: Outbox) -> None:
        user_id, _ = self._open.pop(outbox)
        self._of_user[user_id] -= 1
        if not self._of_user[user_id]:
            del self._of_user[user_id]
        self._metrics.sockets = len(self._open)

    def end_session(self, token_sha256: str) -> None:
        for outbox, (_, of_session) in self._open.items():
            if of_session == token_sha256:
                outbox.end(SIGNED_OUT, "signed out")

    def end_all(self) -> None:
        for outbox in self._open:
            outbox.end(GOING_AWAY, "restarting")
