"""Sessions and their ends; a new password and a disabled user end them.

The ends of the last hour are a log by minutes. Its position is the time of an end in microseconds.
An end that another host wrote with an earlier time is returned late: each call reads the last
seconds again and leaves out what an earlier call has seen.
"""

import asyncio
from collections.abc import Iterable

import msgspec

from mail.errors import NotFound
from mail.ports import SESSIONS_KEPT
from schemas.cql.directory import SESSION, SESSION_END, SESSION_OF_USER
from schemas.directory import Session, User
from schemas.ids import UserId
from stores.cassandra.clock import now_us
from stores.cassandra.directory.accounts import WINDOW, remember
from stores.cassandra.directory.app_passwords import AppPasswordsPart
from stores.cassandra.due_entries import DueEntry
from stores.cassandra.session import CassandraSession, Row, Statement

ENDS_AT_ONCE = 1_000
ENDS_KEPT_US = 3_600_000_000
LATE_US = 10_000_000  # by which clocks of hosts may differ
MINUTE_US = 60_000_000
_LOG = "sessions"
_SESSION = SESSION.select("session, used_at_ms")
_OF_USER = SESSION_OF_USER.select("token_sha256, created_at_ms", "LIMIT ?")
_ENDS = "SELECT at_us, token_sha256 FROM session_end WHERE log = ? AND at_us > ? AND minute IN ?"
_USE = "UPDATE session USING TIMESTAMP ? SET used_at_ms = ? WHERE token_sha256 = ?"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Session).decode


class SessionsPart(AppPasswordsPart):
    """Sessions by the hash of their token."""

    def __init__(self, session: CassandraSession) -> None:
        super().__init__(session)
        self._seen_ends: set[Row] = set()
        self._all_seen_us = 0  # every end before has been returned, unless it was written late
        self._last_end_us = 0

    async def add_session(self, session: Session) -> None:
        if await self.user(session.user_id) is None:
            raise NotFound("there is no such user")
        if await self.session(session.token_sha256) is None:
            token = session.token_sha256
            await self._session.write(self._leading(session))
            await self._session.write([(SESSION.put, (token, _encode(session), now_us()))])
        listed = await self._session.read(_OF_USER, session.user_id, WINDOW)
        await self._end(token for token, _ in listed[SESSIONS_KEPT:])

    async def relist(self) -> None:
        """Write again what leads to the sessions, after a restore. Raises StoreUnavailable."""
        after = ""
        while rows := await self._session.walk(
            SESSION, "token_sha256, session", after=after, limit=WINDOW
        ):
            for _, stored in rows:
                if stored is not None:
                    await self._session.write(self._leading(_decode(stored)))
            after = rows[-1][0]

    def _leading(self, session: Session) -> list[Statement]:
        """The statements that lead to a session."""
        token = session.token_sha256
        place = (session.user_id, session.created_at_ms, token, now_us())
        return [
            *self.expiring_sessions.put(token, due_at_ms=session.expires_at_ms),
            (SESSION_OF_USER.put, place),
        ]

    async def session(self, token_sha256: str) -> Session | None:
        """The row is without its session if it was ended while it was used."""
        rows = await self._session.read(_SESSION, token_sha256)
        if not rows or rows[0][0] is None:
            return None
        row = _decode(rows[0][0])
        return msgspec.structs.replace(row, used_at_ms=max(row.used_at_ms, rows[0][1] or 0))

    async def session_and_user(self, token_sha256: str) -> tuple[Session, User] | None:
        """The user of a session that was read before is read at the same time."""
        known = self.known_users.get(token_sha256)
        user: User | None = None
        if known is None:
            session = await self.session(token_sha256)
        else:
            session, user = await asyncio.gather(self.session(token_sha256), self.user(known))
        if session is None:
            return None
        if user is None or user.user_id != session.user_id:
            user = await self.user(session.user_id)
            remember(self.known_users, token_sha256, session.user_id)
        return None if user is None else (session, user)

    async def sessions(self, user_id: UserId, *, limit: int) -> list[Session]:
        listed = await self._session.read(_OF_USER, user_id, limit)
        rows = await asyncio.gather(*(self.session(token) for token, _ in listed))
        return [row for row in rows if row is not None]

    async def use_session(self, token_sha256: str, *, at_ms: int) -> None:
        if await self.session(token_sha256) is not None:
            await self._session.write([(_USE, (at_ms * 1000, at_ms, token_sha256))])

    async def end_session(self, token_sha256: str) -> None:
        await self._end([token_sha256])

    async def set_password(
        self,
        user_id: UserId,
        password_hash: str,
        *,
        keep_session: str | None = None,
        revoke_app_passwords: bool = False,
    ) -> None:
        """Sessions end before and after: a process that is killed between leaves no old one."""
        if await self.user(user_id) is None:
            raise NotFound("there is no such user")
        await self._end_all(user_id, but=keep_session)
        if revoke_app_passwords:
            await self.revoke_app_passwords(user_id)
        await self._change_user(user_id, password_hash=password_hash)
        await self._end_all(user_id, but=keep_session)

    async def set_disabled(self, user_id: UserId, *, disabled: bool) -> None:
        await self._change_user(user_id, disabled=disabled)
        if disabled:
            await self._end_all(user_id)

    async def _end_all(self, user_id: UserId, *, but: str | None = None) -> None:
        listed = await self._session.read(_OF_USER, user_id, WINDOW)
        await self._end(token for token, _ in listed if token != but)

    async def _end(self, tokens: Iterable[str]) -> int:
        """End the sessions; return the number of those that had not ended."""
        names = list(tokens)
        rows = await asyncio.gather(*(self.session(token) for token in names))
        ended = [row for row in rows if row is not None]
        if ended:
            await self._session.write([each for row in ended for each in self._ending(row)])
        return len(ended)

    def _ending(self, row: Session) -> list[Statement]:
        """The end is written with the deletion; its time is later than those before."""
        token = row.token_sha256
        at_us = self._last_end_us = max(now_us(), self._last_end_us + 1)
        return [
            (SESSION_END.put, (_LOG, at_us // MINUTE_US, at_us, token, at_us)),
            (SESSION.delete(), (at_us, token)),
            (SESSION_OF_USER.delete(), (at_us, row.user_id, row.created_at_ms, token)),
        ]

    async def session_ends(self, after: int | None) -> tuple[list[str], int]:
        began_us = now_us()
        if after is None:
            place = began_us - ENDS_KEPT_US
            rows = await self._ends_since(place - LATE_US)
            self._seen_ends |= set(rows)
            return [], max((at_us for at_us, _ in rows), default=place)
        rows = await self._ends_since(max(after, self._all_seen_us) - LATE_US)
        new = [row for row in rows if row not in self._seen_ends]
        if len(new) <= ENDS_AT_ONCE:
            self._all_seen_us = began_us - LATE_US
        new = new[:ENDS_AT_ONCE]
        place = max([after, *(at_us for at_us, _ in new)])
        read_us = max(place, self._all_seen_us) - LATE_US  # where the next call begins
        self._seen_ends = {row for row in self._seen_ends if row[0] > read_us} | set(new)
        return [token for _, token in new], place

    async def _ends_since(self, since_us: int) -> list[Row]:
        """Ends of the last hour after a time, in order."""
        now = now_us()
        first = max(since_us, now - ENDS_KEPT_US) // MINUTE_US
        minutes = range(first, (now + LATE_US) // MINUTE_US + 1)
        return sorted(await self._session.read(_ENDS, _LOG, since_us, list(minutes)))

    async def prune_sessions(self, now_ms: int) -> int:
        """Ends of sessions go by themselves, two hours after they were written."""
        gone = 0
        while due := await self.expiring_sessions.due(until_ms=now_ms, limit=WINDOW):
            gone += await self._expire(due)
        return gone

    async def _expire(self, due: list[DueEntry]) -> int:
        gone = await self._end(entry.key for entry in due)
        await self.expiring_sessions.remove(due)
        return gone
