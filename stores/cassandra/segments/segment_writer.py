"""Write one segment, and let the places of its contents name it.

Every place is changed once, from the exact value that was read before the segment was begun. So a
place that changed meanwhile keeps its body, and another process can stop the change (`fenced`).
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from mail.errors import StoreUnavailable
from mail.ids import new_id
from schemas.cql.content import CONTENT_PLACE, SEGMENT, ContentPlace
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.segments.records import SegmentRecords
from stores.cassandra.session import CassandraSession

log = logging.getLogger(__name__)
SEGMENT_BYTES = 8 * 1024 * 1024  # at most: the object is written by one request
CONTENTS_MAX = 4096  # in one segment
WRITE_MAX_S = 300.0  # between the begin of a segment and its object
_AT_ONCE = 50
A = TypeVar("A")
T = TypeVar("T")


class Objects(Protocol):
    """Octets by key; stores/s3/objects.py."""

    async def put(self, key: str, octets: bytes) -> None: ...
    async def get(self, key: str) -> bytes | None: ...
    async def read(self, key: str, *, start: int, size_bytes: int) -> bytes | None: ...
    async def size(self, key: str) -> int | None: ...
    async def delete(self, key: str) -> None: ...


class Part(NamedTuple):
    """A content to move. `stored`: the value of its place, as it was read; `place`: decoded."""

    mail_id: str
    stored: bytes
    place: ContentPlace
    octets: bytes


def is_whole(mail_id: str, place: ContentPlace, octets: bytes | None) -> bool:
    """Whether the octets are those that were put; logs an error if not."""
    if octets is not None and hashlib.sha256(octets).hexdigest() == place.sha256:
        return True
    what = "is missing" if octets is None else "is damaged"
    log.error("the content %s %s (%s %s), and is not moved", mail_id, what, place.where, place.key)
    return False


class SegmentWriter:
    """Segments on `objects`; the places of contents over a session.

    `clock_s` also counts while the machine is suspended.
    """

    def __init__(
        self,
        session: CassandraSession,
        objects: Objects,
        key_of: Callable[[str], str],
        clock_s: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        self.places: GuardedRows[ContentPlace] = GuardedRows(session, CONTENT_PLACE, ContentPlace)
        self.records = SegmentRecords(session)
        self.objects = objects
        self.key_of = key_of
        self._clock_s = clock_s

    async def write(self, parts: Sequence[Part]) -> set[str]:
        """Write a segment of `parts`, at most SEGMENT_BYTES and CONTENTS_MAX.

        Returns the ids of the contents whose places name it then; the others have changed
        meanwhile. Raises StoreUnavailable: any of them may name it, and the compactor finishes
        the segment.
        """
        name, body = self.key_of(f"segment.{new_id()}"), b"".join(part.octets for part in parts)
        began_s = self._clock_s()
        writing = await self.records.begin(name, [part.mail_id for part in parts], len(body))
        if self._clock_s() - began_s > WRITE_MAX_S:
            raise StoreUnavailable("cassandra", f"the segment {name} took too long")
        await self.objects.put(name, body)
        moved = await self._move(name, parts)
        for part in parts:
            if part.mail_id not in moved:
                await self.records.note_gone(name, part.mail_id, len(part.octets))
        if not await self.records.close(name, writing, is_named=bool(moved)):
            await self.objects.delete(name)
        return moved

    async def _move(self, name: str, parts: Sequence[Part]) -> set[str]:
        """Let the places name the segment; return the ids of those that do."""
        starts, start = [], 0
        for part in parts:
            starts.append(start)
            start += len(part.octets)

        async def moved(pair: tuple[Part, int]) -> bool:
            part, start = pair
            place = msgspec.structs.replace(part.place, where=SEGMENT, key=name, start=start)
            return await self.places.exchange(part.mail_id, before=part.stored, after=place)

        results = await in_groups(moved, zip(parts, starts, strict=True))
        return {part.mail_id for part, done in zip(parts, results, strict=True) if done}

    async def named(
        self, name: str, mail_ids: Sequence[str]
    ) -> list[tuple[str, bytes, ContentPlace]]:
        """Return those of the contents whose places name the segment, with the stored values."""
        stored = await in_groups(self.places.stored, mail_ids)
        found = [
            (mail_id, value, self.places.decoded(value))
            for mail_id, value in zip(mail_ids, stored, strict=True)
            if value is not None
        ]
        return [row for row in found if (row[2].where, row[2].key) == (SEGMENT, name)]

    async def fenced(self, name: str, mail_ids: Sequence[str]) -> list[ContentPlace]:
        """Stop all changes under way that would let a place name the segment.

        Returns the places that name it.
        """

        async def fenced(mail_id: str) -> ContentPlace | None:
            def raised(now: ContentPlace | None) -> ContentPlace | None:
                if now is None or now.key == name:
                    return now
                return msgspec.structs.replace(now, fence=now.fence + 1)

            return await self.places.change(mail_id, to=raised)

        places = await in_groups(fenced, mail_ids)
        return [place for place in places if place is not None and place.key == name]


async def in_groups(work: Callable[[A], Awaitable[T]], values: Iterable[A]) -> list[T]:
    """Return what `work` returns for each, a few at the same time.

    Raises the first error after all that were begun have ended.
    """
    todo, done = list(values), []
    for first in range(0, len(todo), _AT_ONCE):
        group = todo[first : first + _AT_ONCE]
        results = await asyncio.gather(*map(work, group), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
            done.append(result)
    return done
