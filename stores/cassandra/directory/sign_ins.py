"""Attempts to sign in, by user and outcome, newest first."""

import asyncio
from collections import Counter
from itertools import islice
from typing import get_args

import msgspec

from mail.pagination import NEWEST, ListPosition
from mail.ports import SIGN_INS_KEPT
from schemas.cql.directory import SIGN_IN
from schemas.directory import SignIn, SignInOutcome
from schemas.ids import UserId
from stores.cassandra.clock import now_us
from stores.cassandra.directory.part import DirectoryPart
from stores.cassandra.session import CassandraSession

OUTCOMES: tuple[str, ...] = get_args(SignInOutcome)
TRIM_EVERY = 50  # additions of a process to a user and outcome
COUNTED_MAX = 10_000  # users and outcomes whose additions are counted
_KEYS = SIGN_IN.select("at_ms, sign_in_id", "LIMIT ?")
_PAGE = SIGN_IN.select("sign_in", "AND (at_ms, sign_in_id) < (?, ?) LIMIT ?")
_SINCE = SIGN_IN.select("sign_in", "AND at_ms >= ?")
_CUT = (
    "DELETE FROM sign_in USING TIMESTAMP ? WHERE user_id = ? AND outcome = ?"
    " AND (at_ms, sign_in_id) <= (?, ?)"
)
_OLD = "SELECT count(*) FROM sign_in WHERE user_id = ? AND outcome = ? AND at_ms < ?"
_CUT_OLD = "DELETE FROM sign_in USING TIMESTAMP ? WHERE user_id = ? AND outcome = ? AND at_ms < ?"
_PARTITIONS = "SELECT DISTINCT user_id, outcome FROM sign_in"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SignIn).decode


class SignInsPart(DirectoryPart):
    """Sign-ins. Rows beyond SIGN_INS_KEPT are cut when they are read, or after 50 additions."""

    def __init__(self, session: CassandraSession) -> None:
        super().__init__(session)
        self._added: Counter[tuple[str, str]] = Counter()

    async def add_sign_in(self, sign_in: SignIn) -> None:
        key = sign_in.user_id, sign_in.outcome
        place = sign_in.at_ms, sign_in.sign_in_id
        await self._session.write([(SIGN_IN.put, (*key, *place, _encode(sign_in), now_us()))])
        self._added[key] += 1
        if self._added[key] >= TRIM_EVERY:
            del self._added[key]
            await self._trim(*key)
        if len(self._added) > COUNTED_MAX:
            self._added.clear()

    async def sign_ins(
        self, user_id: UserId, *, limit: int, before: ListPosition = NEWEST
    ) -> list[SignIn]:
        await asyncio.gather(*(self._trim(user_id, outcome) for outcome in OUTCOMES))
        pages = await asyncio.gather(
            *(self._session.read(_PAGE, user_id, outcome, *before, limit) for outcome in OUTCOMES)
        )
        rows = [_decode(blob) for page in pages for (blob,) in page]
        rows.sort(key=lambda row: (row.at_ms, row.sign_in_id), reverse=True)
        return list(islice(rows, limit))

    async def _trim(self, user_id: str, outcome: str) -> None:
        """Delete the rows beyond the newest SIGN_INS_KEPT with one range."""
        keys = await self._session.read(_KEYS, user_id, outcome, SIGN_INS_KEPT + 1)
        if len(keys) > SIGN_INS_KEPT:
            await self._session.write([(_CUT, (now_us(), user_id, outcome, *keys[-1]))])

    async def sign_in_sources(self, user_id: UserId, *, since_ms: int) -> list[tuple[str, str]]:
        rows = await self._session.read(_SINCE, user_id, "success", since_ms)
        found = (_decode(blob) for (blob,) in rows)
        return list({(row.peer, row.device) for row in found})

    async def prune_sign_ins(self, *, before_ms: int) -> int:
        """Walks over all users and outcomes."""
        gone = 0
        for user_id, outcome in await self._session.read(_PARTITIONS):
            ((old,),) = await self._session.read(_OLD, user_id, outcome, before_ms)
            gone += old
            if old:
                await self._session.write([(_CUT_OLD, (now_us(), user_id, outcome, before_ms))])
        return gone
