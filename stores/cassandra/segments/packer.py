"""Packer: moves the rows of contents into segments.

Every body of a content has an entry, written before it (due_entries.py), with the time of the put.
Reads the entries that are old enough, the oldest first, and the places of their contents. When the
rows fill a segment, or the oldest has waited for `age_max_ms`, writes a segment, and then deletes
the rows and the entries of the contents that moved.

A body without a place, of a put that was cut short or came second, is deleted `body_kept_ms` after
it was written. A put takes at most PUT_MAX_S, so its place cannot come later.
A store unreachable: Transient, the entries remain.
Safe to repeat: a content that has moved has no entry, or one that no longer names its body.
"""

from dataclasses import dataclass
from typing import NamedTuple

from mail.clock import now_ms
from schemas.cql.content import CONTENT_ROW, OBJECT, ROW, ContentPlace
from stores.cassandra.clock import now_us
from stores.cassandra.due_entries import BEGIN, DRAINED_AFTER_MS, DueEntries, DueEntry
from stores.cassandra.segments.segment_writer import (
    CONTENTS_MAX,
    SEGMENT_BYTES,
    Part,
    SegmentWriter,
    in_groups,
    is_whole,
)
from stores.cassandra.session import CassandraSession, Row, Statement

QUEUE = "content"  # of entries, one for each body
PUT_MAX_S = 1200.0  # of a put, from its entry to its place; by CLOCK_BOOTTIME
SEGMENTS_MAX = 100  # in one turn
_PAGE = 256  # entries
_BODY = CONTENT_ROW.select("content, WRITETIME(content)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackerConfig:
    """Ages of contents since their puts."""

    age_min_ms: int = 600_000  # a new content is read most, and a row is read faster
    age_max_ms: int = 6 * 3_600_000  # then a segment is written that is not full
    body_kept_ms: int = 2 * DRAINED_AFTER_MS  # without a place; above PUT_MAX_S, with wrong clocks


class _Candidate(NamedTuple):
    """A content that is in a row."""

    entry: DueEntry
    mail_id: str
    stored: bytes
    place: ContentPlace


class SegmentPacker:
    """The job. The counts begin with the process."""

    def __init__(
        self, session: CassandraSession, writer: SegmentWriter, config: PackerConfig | None = None
    ) -> None:
        self.packed = 0  # contents
        self.segments = 0
        self._session = session
        self._writer = writer
        self._config = config or PackerConfig()
        self._queue = DueEntries(session, QUEUE)

    async def turn(self) -> None:
        """Write segments until what remains can wait, SEGMENTS_MAX at most.

        Raises StoreUnavailable.
        """
        for _ in range(SEGMENTS_MAX):
            if not await self._pack():
                break

    async def _pack(self) -> bool:
        """Write a segment if it is due; return whether the next one may be due."""
        taken, is_full = await self._take()
        oldest_ms = taken[0].entry.due_at_ms if taken else now_ms()
        if not is_full and oldest_ms > now_ms() - self._config.age_max_ms:
            return False
        rows = await in_groups(self._row, taken)
        pairs = [(one, row) for one, row in zip(taken, rows, strict=True) if row is not None]
        if not pairs:
            return False
        parts = [Part(one.mail_id, one.stored, one.place, row[0]) for one, row in pairs]
        moved = await self._writer.write(parts)
        self.segments += 1
        self.packed += len(moved)
        gone = [(one, row) for one, row in pairs if one.mail_id in moved]
        await self._session.write([_deletion(one.place.key, row) for one, row in gone])
        await self._queue.remove([one.entry for one, _ in gone])
        return is_full and bool(moved)

    async def _take(self) -> tuple[list[_Candidate], bool]:
        """Return the oldest rows for one segment, and whether they fill it."""
        taken: dict[str, _Candidate] = {}
        size_bytes, after = 0, BEGIN
        while True:
            until_ms = now_ms() - self._config.age_min_ms
            page = await self._queue.due(until_ms=until_ms, limit=_PAGE, after=after)
            for one in await in_groups(self._candidate, page):
                if one is None or one.mail_id in taken:
                    continue
                size_bytes += one.place.size_bytes
                if size_bytes > SEGMENT_BYTES or len(taken) == CONTENTS_MAX:
                    return list(taken.values()), True
                taken[one.mail_id] = one
            if len(page) < _PAGE:
                return list(taken.values()), False
            after = page[-1].due_at_ms, page[-1].key

    async def _candidate(self, entry: DueEntry) -> _Candidate | None:
        """Return the content of an entry if its place is this row; else clear up."""
        mail_id = entry.key.rpartition(".")[0]
        stored = await self._writer.places.stored(mail_id)
        place = None if stored is None else self._writer.places.decoded(stored)
        if stored is not None and place is not None and self._is_place(place, entry):
            if place.where == ROW and place.size_bytes:
                return _Candidate(entry, mail_id, stored, place)
            await self._queue.remove([entry])  # an object stays where it is, and an empty row
        elif entry.written_us < now_us() - self._config.body_kept_ms * 1000:
            await self._delete_body(mail_id, entry)
        return None

    def _is_place(self, place: ContentPlace, entry: DueEntry) -> bool:
        keys = {ROW: entry.key, OBJECT: self._writer.key_of(entry.key)}
        return place.key == keys.get(place.where)

    async def _delete_body(self, mail_id: str, entry: DueEntry) -> None:
        """Delete a body that no place names."""
        place = await self._writer.places.get_serial(mail_id)
        if place is not None and self._is_place(place, entry):
            return  # its change was seen by this read only
        for row in await self._session.read(_BODY, entry.key):
            await self._session.write([_deletion(entry.key, row)])
        await self._writer.objects.delete(self._writer.key_of(entry.key))
        await self._queue.remove([entry])

    async def _row(self, one: _Candidate) -> Row | None:
        """Return the row of a content with its write time; None: gone, missing or damaged."""
        rows = await self._session.read(_BODY, one.place.key)
        if not rows and await self._writer.places.stored(one.mail_id) != one.stored:
            return None  # another packer moved it, or it was deleted
        if is_whole(one.mail_id, one.place, rows[0][0] if rows else None):
            return rows[0]
        return None


def _deletion(key: str, row: Row) -> Statement:
    """The statement that deletes a row, with the write time of the row: no clock is asked."""
    return CONTENT_ROW.delete(), (row[1], key)
