"""ContentStore on Cassandra and S3: contents of at most 128 KiB are rows, others are objects.

The place of a content is one row, changed by compare-and-set. A body is written under a key of its
own before its place names it, and deleted after its place is gone: a late deletion cannot meet the
body of a later put. An entry for the body is written first, by which the packer finds it.
Rows are packed into segments (stores/cassandra/segments); a reader whose body has gone reads the
place again.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial

from mail.clock import now_ms
from mail.errors import ContentMissing, StoreUnavailable
from mail.ids import check_content_id, is_content_id, new_id
from mail.octet_ranges import check_range
from mail.ports import ContentStore, ContentSweep
from schemas.content import Stored
from schemas.cql.content import CONTENT_PLACE, CONTENT_ROW, OBJECT, ROW, ContentPlace
from schemas.ids import MailId
from stores.cassandra.clock import now_us
from stores.cassandra.content_sweep import CassandraContentSweep, is_there, uncounted
from stores.cassandra.due_entries import DueEntries
from stores.cassandra.guarded_rows import ATTEMPTS
from stores.cassandra.segments.compactor import CompactorConfig
from stores.cassandra.segments.packer import PUT_MAX_S, QUEUE, PackerConfig
from stores.cassandra.segments.segment_writer import Objects, in_groups
from stores.cassandra.segments.upkeep import SegmentUpkeep
from stores.cassandra.session import CassandraSession

ROW_MAX_BYTES = 128 * 1024
_BODY = CONTENT_ROW.select("content")
_IS_THERE = CONTENT_ROW.select("body_key")


class CassandraContentStore(CassandraContentSweep, ContentStore, ContentSweep):
    """The reference of a content is its mail id. `key_of`: the key of an object by its name."""

    def __init__(
        self, session: CassandraSession, objects: Objects, key_of: Callable[[str], str]
    ) -> None:
        super().__init__(session)
        self._objects = objects
        self._key_of = key_of
        self._bodies = DueEntries(session, QUEUE)

    def upkeep(
        self, *, packing: PackerConfig | None = None, compaction: CompactorConfig | None = None
    ) -> SegmentUpkeep:
        """The jobs that move contents into segments, for a process that repeats them."""
        return SegmentUpkeep(
            self._session, self._objects, self._key_of, self.alone,
            packing=packing, compaction=compaction,
        )  # fmt: skip

    async def put(self, mail_id: MailId, content: bytes) -> Stored:
        check_content_id(mail_id)
        # Most contents are new: those of one row are written before anything is read.
        is_new = len(content) <= ROW_MAX_BYTES
        for _ in range(ATTEMPTS):
            known = None if is_new else await self._places.get(mail_id)
            body, began_s = None, self._clock_s()
            if not is_there(known):
                body = await self._write_body(f"{mail_id}.{new_id()}", content)
            taking = _Taking(body)
            kept = await self._places.change(
                mail_id, to=taking, prepare=partial(self._in_time, began_s), is_new=is_new
            )
            is_new = False
            if kept is None:
                continue  # deleted since it was read, after all sweeps
            if taking.had_count:
                await self._forget_count(mail_id)
            if body is not None and kept.key != body.key:
                await self._delete_body(body)  # another put of this id was first
            return Stored(mail_id, kept.size_bytes, kept.sha256)
        raise StoreUnavailable("cassandra", f"the content {mail_id} is put and deleted again")

    async def get(self, ref: str) -> bytes:
        return await self._read(ref, start=0, size_bytes=None)

    async def read(self, ref: str, *, start: int, size_bytes: int) -> bytes:
        check_range(start, size_bytes)
        return await self._read(ref, start=start, size_bytes=size_bytes)

    async def missing(self, refs: Iterable[str]) -> list[str]:
        """Ask for each row, and once for each object that contents share.

        A body that is not there has moved, or it is lost: then its place still names it.
        """
        ids = tuple(refs)
        left, not_there, gone = ids, dict[str, str](), set[str]()
        for _ in range(ATTEMPTS):
            places = dict(zip(left, await in_groups(self._known, left), strict=True))
            there = {ref: place for ref, place in places.items() if place and is_there(place)}
            lost = {ref for ref, place in there.items() if not_there.get(ref) == place.key}
            gone |= (places.keys() - there.keys()) | lost
            absent = await self._absent([p for ref, p in there.items() if ref not in lost])
            left = tuple(ref for ref, p in there.items() if ref not in lost and p in absent)
            not_there = {ref: there[ref].key for ref in left}
            if not left:
                return [ref for ref in ids if ref in gone]
        raise StoreUnavailable("cassandra", f"the content {left[0]} moves all the time")

    async def walk(self, *, place: str | None, limit: int) -> tuple[list[MailId], str | None]:
        """Walk in the order of tokens; a position is the id of the last row."""
        rows = await self._session.walk(
            CONTENT_PLACE, "mail_id, place", after=place or "", limit=limit
        )
        found = [mail_id for mail_id, stored in rows if is_there(self._places.decoded(stored))]
        return found, rows[-1][0] if len(rows) == limit else None

    async def _write_body(self, name: str, content: bytes) -> ContentPlace:
        """Write the octets under a new name. They are read when a place has their key."""
        is_row = len(content) <= ROW_MAX_BYTES
        place = ContentPlace(
            where=ROW if is_row else OBJECT,
            key=name if is_row else self._key_of(name),
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        await self._session.write(self._bodies.put(name, due_at_ms=now_ms()))
        if is_row:
            await self._session.write([(CONTENT_ROW.put, (place.key, content, now_us()))])
        else:
            await self._objects.put(place.key, content)
        return place

    async def _absent(self, places: Iterable[ContentPlace]) -> set[ContentPlace]:
        """Those of the places whose body is not there, or ends before the content."""
        by_key: dict[str, list[ContentPlace]] = defaultdict(list)
        for place in places:
            by_key[place.key].append(place)
        sizes = await in_groups(self._body_size, [each[0] for each in by_key.values()])
        return {
            place
            for group, size in zip(by_key.values(), sizes, strict=True)
            for place in group
            if size is None or (place.where != ROW and size < place.start + place.size_bytes)
        }

    async def _body_size(self, place: ContentPlace) -> int | None:
        """The size of an object, 0 for a row; None: it is not there."""
        if place.where == ROW:
            return 0 if await self._session.read(_IS_THERE, place.key) else None
        return await self._objects.size(place.key)

    async def _delete_body(self, place: ContentPlace) -> None:
        if place.where == ROW:
            await self._session.write([(CONTENT_ROW.delete(), (now_us(), place.key))])
        elif place.where == OBJECT:
            await self._objects.delete(place.key)

    async def _in_time(self, began_s: float, _: ContentPlace) -> None:
        """Raises StoreUnavailable: the packer may have deleted the body of the put."""
        if self._clock_s() - began_s > PUT_MAX_S:
            raise StoreUnavailable("cassandra", f"a put took more than {PUT_MAX_S:.0f} s")

    async def _read(self, ref: str, *, start: int, size_bytes: int | None) -> bytes:
        """Read a range, None: all after `start`; again if the content has moved meanwhile."""
        place = await self._place_of(ref)
        for _ in range(ATTEMPTS):
            size = place.size_bytes - start
            size = size if size_bytes is None else min(size, size_bytes)
            octets = await self._octets(place, start, size)
            if octets is not None:
                return octets
            before, place = place, await self._place_of(ref)
            if place.key == before.key:
                raise ContentMissing(ref)  # lost
        raise StoreUnavailable("cassandra", f"the content {ref} moves all the time")

    async def _octets(self, place: ContentPlace, start: int, size_bytes: int) -> bytes | None:
        """Return a range inside a content; None: the body is gone."""
        if size_bytes <= 0:
            return b""
        if place.where == ROW:
            rows = await self._session.read(_BODY, place.key)
            return rows[0][0][start : start + size_bytes] if rows else None
        if size_bytes == place.size_bytes and place.where == OBJECT:
            return await self._objects.get(place.key)
        return await self._objects.read(place.key, start=place.start + start, size_bytes=size_bytes)

    async def _place_of(self, ref: str) -> ContentPlace:
        place = await self._known(ref)
        if place is None or not is_there(place):
            raise ContentMissing(ref)
        return place

    async def _known(self, ref: str) -> ContentPlace | None:
        return await self._places.get_joined(ref) if is_content_id(ref) else None


class _Taking:
    """The place after a put: that of the content that is there, without a count, else `body`."""

    def __init__(self, body: ContentPlace | None) -> None:
        self._body = body
        self.had_count = False  # the place of the last call

    def __call__(self, now: ContentPlace | None) -> ContentPlace | None:
        self.had_count = now is not None and now.turns > 0
        return uncounted(now) if is_there(now) else self._body
