"""Sessions that are kept for the next mail to the same host, under the same conditions."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from mail.ports.mail_transport import Smarthost
from smtp.client.config import ClientConfig
from smtp.client.connection import Target
from smtp.client.replies import HostFault
from smtp.client.session import PeerSession, open_session
from smtp.client.tls import TlsContexts


@dataclass(slots=True)
class PoolStats:
    """Counts since the start."""

    opened_total: int = 0
    reused_total: int = 0


@dataclass(slots=True)
class _Idle:
    session: PeerSession
    expiry: asyncio.TimerHandle


class SessionPool:
    """Sessions by target: host, address, port, TLS policy and user name are the same."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._contexts = TlsContexts(config)
        self._idle: OrderedDict[int, _Idle] = OrderedDict()  # by id of the session, oldest first
        self._by_target: dict[Target, list[PeerSession]] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._closed = False
        self.stats = PoolStats()

    @property
    def idle_count(self) -> int:
        """Sessions that are kept now."""
        return len(self._idle)

    async def acquire(
        self, target: Target, smarthost: Smarthost | None, *, fresh: bool = False
    ) -> PeerSession:
        """Return a session that was kept and still lives, or a new session. Raises HostFault.

        `fresh`: a new session. The caller releases or aborts it.
        """
        while not fresh and (session := self._take(target)):
            try:
                await session.reset()
            except HostFault:
                session.connection.abort()
            except BaseException:
                session.connection.abort()
                raise
            else:
                session.is_reused = True
                self.stats.reused_total += 1
                return session
        self._make_room(target)
        session = await open_session(target, self._config, self._contexts, smarthost=smarthost)
        self.stats.opened_total += 1
        return session

    def release(self, session: PeerSession) -> None:
        """Keep the session for `idle_s`, or end it with QUIT. No transaction is open."""
        is_full = session.transactions >= self._config.transactions_max
        if self._closed or is_full or not session.connection.is_usable or not self._config.idle_s:
            self._end(session)
            return
        loop = asyncio.get_running_loop()
        expiry = loop.call_later(self._config.idle_s, self._expire, session)
        self._idle[id(session)] = _Idle(session, expiry)
        self._by_target.setdefault(session.connection.target, []).append(session)
        if len(self._idle) > self._config.idle_max:
            self._expire(next(iter(self._idle.values())).session)

    async def close(self) -> None:
        """End the kept sessions with QUIT; those that are released later end too."""
        self._closed = True
        for idle in list(self._idle.values()):
            self._expire(idle.session)
        while self._endings:
            await asyncio.wait(self._endings)

    def _take(self, target: Target) -> PeerSession | None:
        """The session of `target` that was used last, no longer kept."""
        while sessions := self._by_target.get(target):
            session = sessions[-1]
            self._forget(session)
            if session.connection.is_usable:
                return session
            session.connection.abort()
        return None

    def _forget(self, session: PeerSession) -> None:
        self._idle.pop(id(session)).expiry.cancel()
        target = session.connection.target
        self._by_target[target].remove(session)
        if not self._by_target[target]:
            del self._by_target[target]

    def _expire(self, session: PeerSession) -> None:
        self._forget(session)
        self._end(session)

    def _end(self, session: PeerSession) -> None:
        """Say QUIT in the background; it is bounded by `quit_s`."""
        task = asyncio.create_task(session.connection.quit())
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    def _make_room(self, target: Target) -> None:
        """End kept sessions with the same address under other conditions: they take its places."""
        kept = [
            each.session
            for each in self._idle.values()
            if each.session.connection.target.address == target.address
        ]
        for session in kept[: max(0, len(kept) + 1 - self._config.connections_per_host_max)]:
            self._expire(session)
