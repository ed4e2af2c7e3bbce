"""Outlines on Cassandra: a row for each mail.

An outline that is deleted and put again has the later time of two processes' clocks; a loser is a
missing outline, which is made again from the content.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from mail.ports import OutlineStore
from schemas.cql.small_stores import OUTLINE, OUTLINES
from schemas.ids import MailId
from schemas.outline import MailOutline
from stores.cassandra.base import CassandraStore
from stores.cassandra.clock import now_us

_GET = OUTLINE.select("outline")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(MailOutline).decode


class CassandraOutlineStore(CassandraStore, OutlineStore):
    """Outlines over a session."""

    schemas = {"outlines": OUTLINES}  # noqa: RUF012

    async def put(self, mail_id: MailId, outline: MailOutline) -> None:
        await self._session.write([(OUTLINE.put, (mail_id, _encode(outline), now_us()))])

    async def get(self, mail_ids: Sequence[MailId]) -> Mapping[MailId, MailOutline]:
        ids = list(dict.fromkeys(mail_ids))
        found = await asyncio.gather(*(self._session.read(_GET, id_) for id_ in ids))
        outlines: dict[MailId, MailOutline] = {}
        for mail_id, rows in zip(ids, found, strict=True):
            if rows:
                with suppress(msgspec.MsgspecError):
                    outlines[mail_id] = _decode(rows[0][0])
        return outlines

    async def delete(self, mail_ids: Sequence[str]) -> None:
        at_us = now_us()
        await self._session.write([(OUTLINE.delete(), (at_us, id_)) for id_ in mail_ids])

    async def ids(self, *, after: str, limit: int) -> list[MailId]:
        rows = await self._session.walk(OUTLINE, "mail_id", after=after, limit=limit)
        return [mail_id for (mail_id,) in rows]
