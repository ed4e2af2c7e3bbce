"""ContentStore on Cassandra and S3: contents of at most 128 KiB are rows, others are objects.

The place of a content is one row, changed by compare-and-set. A body is written under a key of its
own before its place names it, and deleted after its place is gone: a late deletion cannot meet the
body of a later put.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from mail.errors import ContentMissing, StoreUnavailable
from mail.ids import check_content_id, is_content_id, new_id
from mail.octet_ranges import check_range
from mail.ports import ContentStore, ContentSweep
from schemas.content import Stored
from schemas.cql.content import CONTENT_PLACE, CONTENT_ROW, OBJECT, ROW, ContentPlace
from schemas.ids import MailId
from stores.cassandra.clock import now_us
from stores.cassandra.content_sweep import CassandraContentSweep, is_there, uncounted
from stores.cassandra.guarded_rows import ATTEMPTS
from stores.cassandra.session import CassandraSession

ROW_MAX_BYTES = 128 * 1024
_BODY = CONTENT_ROW.select("content")


class Objects(Protocol):
    """Octets by key; stores/s3/objects.py."""

    async def put(self, key: str, octets: bytes) -> None: ...
    async def get(self, key: str) -> bytes | None: ...
    async def read(self, key: str, *, start: int, size_bytes: int) -> bytes | None: ...
    async def delete(self, key: str) -> None: ...


class CassandraContentStore(CassandraContentSweep, ContentStore, ContentSweep):
    """The reference of a content is its mail id. `key_of`: the key of an object by its name."""

    def __init__(
        self, session: CassandraSession, objects: Objects, key_of: Callable[[str], str]
    ) -> None:
        super().__init__(session)
        self._objects = objects
        self._key_of = key_of

    async def put(self, mail_id: MailId, content: bytes) -> Stored:
        check_content_id(mail_id)
        for _ in range(ATTEMPTS):
            known, body = await self._places.get(mail_id), None
            if not is_there(known):
                body = await self._write_body(mail_id, content)
            kept = await self._places.change(mail_id, to=partial(_taken, body))
            if kept is None:
                continue  # deleted since it was read, after all sweeps
            if known is not None and known.turns:
                await self._forget_count(mail_id)
            if body is not None and kept.key != body.key:
                await self._delete_body(body)  # another put of this id was first
            return Stored(mail_id, kept.size_bytes, kept.sha256)
        raise StoreUnavailable("cassandra", f"the content {mail_id} is put and deleted again")

    async def get(self, ref: str) -> bytes:
        place = await self._place_of(ref)
        if place.where == ROW:
            return await self._row(ref, place)
        return _there(ref, await self._objects.get(place.key))

    async def read(self, ref: str, *, start: int, size_bytes: int) -> bytes:
        check_range(start, size_bytes)
        place = await self._place_of(ref)
        if place.where == ROW:
            return (await self._row(ref, place))[start : start + size_bytes]
        size_bytes = min(size_bytes, place.size_bytes - start)
        if size_bytes <= 0:
            return b""
        return _there(ref, await self._objects.read(place.key, start=start, size_bytes=size_bytes))

    async def missing(self, refs: Iterable[str]) -> list[str]:
        ids = tuple(refs)
        places = await asyncio.gather(*(self._known(ref) for ref in ids))
        return [ref for ref, place in zip(ids, places, strict=True) if not is_there(place)]

    async def walk(self, *, place: str | None, limit: int) -> tuple[list[MailId], str | None]:
        """Walk in the order of tokens; a position is the id of the last row."""
        rows = await self._session.walk(
            CONTENT_PLACE, "mail_id, place", after=place or "", limit=limit
        )
        found = [mail_id for mail_id, stored in rows if is_there(self._places.decoded(stored))]
        return found, rows[-1][0] if len(rows) == limit else None

    async def _write_body(self, mail_id: MailId, content: bytes) -> ContentPlace:
        """Write the octets under a new key. They are read when a place names the key."""
        name = f"{mail_id}.{new_id()}"
        is_row = len(content) <= ROW_MAX_BYTES
        place = ContentPlace(
            where=ROW if is_row else OBJECT,
            key=name if is_row else self._key_of(name),
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        if is_row:
            await self._session.write([(CONTENT_ROW.put, (place.key, content, now_us()))])
        else:
            await self._objects.put(place.key, content)
        return place

    async def _delete_body(self, place: ContentPlace) -> None:
        if place.where == ROW:
            await self._session.write([(CONTENT_ROW.delete(), (now_us(), place.key))])
        elif place.where == OBJECT:
            await self._objects.delete(place.key)

    async def _place_of(self, ref: str) -> ContentPlace:
        place = await self._known(ref)
        if place is None or not is_there(place):
            raise ContentMissing(ref)
        return place

    async def _known(self, ref: str) -> ContentPlace | None:
        return await self._places.get(ref) if is_content_id(ref) else None

    async def _row(self, ref: str, place: ContentPlace) -> bytes:
        rows = await self._session.read(_BODY, place.key)
        return _there(ref, rows[0][0] if rows else None)


def _taken(body: ContentPlace | None, now: ContentPlace | None) -> ContentPlace | None:
    """The place after a put: that of the content that is there, without a count, else `body`."""
    return uncounted(now) if is_there(now) else body


def _there(ref: str, octets: bytes | None) -> bytes:
    """Raises ContentMissing: deleted since its place was read, or lost."""
    if octets is None:
        raise ContentMissing(ref)
    return octets
