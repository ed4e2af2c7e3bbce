"""Records of segments: one row each, changed by compare-and-set, and the ids of their contents.

The record is written before the object, so an object whose writer was killed is found by its
record. The ids are written before any place names the segment.
"""

import logging
from collections.abc import Sequence

import msgspec

from mail.clock import now_ms
from mail.errors import StoreUnavailable
from schemas.cql.content import (
    BEGUN,
    CONTENT_SEGMENT,
    CONTENT_SEGMENT_GONE,
    CONTENT_SEGMENT_IDS,
    EMPTY,
    SEALED,
    SEGMENT,
    WRITING,
    ContentPlace,
    Segment,
)
from stores.cassandra.clock import now_us
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.session import CassandraSession, Statement

log = logging.getLogger(__name__)
_IDS = CONTENT_SEGMENT_IDS.select("mail_ids")
_GONE = CONTENT_SEGMENT_GONE.select("sum(size_bytes)")
_decode_ids = msgspec.msgpack.Decoder(list[str]).decode


class SegmentRecords:
    """The records over a session. The name of a segment is the key of its object."""

    def __init__(self, session: CassandraSession) -> None:
        self._session = session
        self._rows: GuardedRows[Segment] = GuardedRows(session, CONTENT_SEGMENT, Segment)

    async def begin(self, name: str, mail_ids: Sequence[str], size_bytes: int) -> Segment:
        """Add the record of a segment that will be written. Raises StoreUnavailable."""
        begun = Segment(state=BEGUN, size_bytes=size_bytes, since_ms=now_ms())
        await self._rows.add(name, row=begun)
        ids = msgspec.msgpack.encode(mail_ids)
        await self._session.write([(CONTENT_SEGMENT_IDS.put, (name, ids, now_us()))])
        writing = await self.change(name, begun, WRITING)
        if writing is None or writing.state != WRITING:
            raise StoreUnavailable("cassandra", f"the segment {name} was given up meanwhile")
        return writing

    async def change(self, name: str, known: Segment, state: str) -> Segment | None:
        """Change the state of a record that is still `known`; return the record that is there."""
        changed = _in_state(known, state)
        return await self._rows.change(name, to=lambda now: changed if now == known else now)

    async def close(self, name: str, writing: Segment, *, is_named: bool) -> bool:
        """End the writing of a segment; `is_named`: there are places that name it.

        False: it was given up and its record was removed, so its object is deleted by the caller.
        """
        if await self.change(name, writing, SEALED if is_named else EMPTY) is not None:
            return True
        if is_named:
            log.error("places name the segment %s, which has no record: it is kept", name)
            return True
        await self._forget_contents(name)
        return False

    async def page(self, *, after: str, limit: int) -> list[tuple[str, Segment]]:
        """Return records in the order of tokens, those after the name `after` ("": all)."""
        rows = await self._session.walk(
            CONTENT_SEGMENT, "segment, record", after=after, limit=limit
        )
        return [(name, self._rows.decoded(stored)) for name, stored in rows]

    async def mail_ids(self, name: str) -> list[str]:
        """Return the ids of the contents for which the segment was written."""
        rows = await self._session.read(_IDS, name)
        return _decode_ids(rows[0][0]) if rows else []

    async def gone_bytes(self, name: str) -> int:
        """Return the octets that left the segment, or are about to; at most a few too many."""
        rows = await self._session.read(_GONE, name)
        return rows[0][0] or 0

    async def note_gone(self, name: str, mail_id: str, size_bytes: int) -> None:
        """Note that a content of the segment has no place in it."""
        await self._session.write([_gone(name, mail_id, size_bytes)])

    async def forget(self, name: str, known: Segment) -> None:
        """Remove an empty segment whose object was deleted."""
        await self._forget_contents(name)
        await self._rows.change(name, to=lambda now: None if now == known else now)

    async def _forget_contents(self, name: str) -> None:
        at_us = now_us()
        await self._session.write(
            [
                (CONTENT_SEGMENT_IDS.delete(), (at_us, name)),
                (CONTENT_SEGMENT_GONE.delete(1), (at_us, name)),
            ]
        )


def left_segment(mail_id: str, place: ContentPlace) -> list[Statement]:
    """The statements to carry out before `place` ceases to name its segment."""
    return [_gone(place.key, mail_id, place.size_bytes)] if place.where == SEGMENT else []


def _gone(name: str, mail_id: str, size_bytes: int) -> Statement:
    return CONTENT_SEGMENT_GONE.put, (name, mail_id, size_bytes, now_us())


def _in_state(segment: Segment, state: str) -> Segment:
    return msgspec.structs.replace(segment, state=state, since_ms=now_ms())
