"""Compactor: contents leave segments of which half is gone, and empty segments are deleted.

Walks over the records of segments, a page at each turn. A segment of which half of the octets are
noted as gone is compared with the places of its contents; if they confirm it, the contents that are
left go into a new segment, together with those of others. A segment that no place names becomes
EMPTY. Its object is deleted `kept_ms` later, when readers that saw an earlier place are done
(one that is later reads the place again), and not under a lease or during a sweep.

A segment that was begun `abandoned_ms` ago has a writer that was killed, or is slow: its changes of
places are stopped, and the segment is sealed with the places that name it. Clocks only decide when
that is tried; a writer that still runs loses only work.
A store unreachable: Transient, the turn ends and the next begins at the same page.
Safe to repeat, by several processes at once: each step depends on records and places alone.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from mail.clock import now_ms
from schemas.cql.content import BEGUN, EMPTY, SEALED, WRITING, Segment
from stores.cassandra.segments.segment_writer import (
    CONTENTS_MAX,
    SEGMENT_BYTES,
    Part,
    SegmentWriter,
    is_whole,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactorConfig:
    """Ages of states of segments, and the records that one turn reads."""

    abandoned_ms: int = 3_600_000
    kept_ms: int = 3_600_000  # of an empty segment; a read takes at most minutes
    page: int = 200


class SegmentCompactor:
    """The job. The counts begin with the process.

    `alone` yields whether objects may be deleted now: during its block no lease begins and no sweep
    runs.
    """

    def __init__(
        self,
        writer: SegmentWriter,
        alone: Callable[[], AbstractAsyncContextManager[Callable[[], bool]]],
        config: CompactorConfig | None = None,
    ) -> None:
        self.compacted = 0  # segments
        self.deleted = 0
        self._writer = writer
        self._records = writer.records
        self._alone = alone
        self._config = config or CompactorConfig()
        self._after = ""  # where the walk continues
        self._parts: list[Part] = []  # that leave their segments
        self._emptied: list[tuple[str, Segment]] = []  # which they leave

    async def turn(self) -> None:
        """Look at the next page of segments. Raises StoreUnavailable."""
        self._parts, self._emptied = [], []
        page = await self._records.page(after=self._after, limit=self._config.page)
        for name, segment in page:
            await self._look_at(name, segment)
        await self._flush()
        await self._delete_empty(page)
        self._after = page[-1][0] if len(page) == self._config.page else ""

    async def _look_at(self, name: str, segment: Segment) -> None:
        is_abandoned = segment.since_ms < now_ms() - self._config.abandoned_ms
        if segment.state == BEGUN and is_abandoned:
            await self._records.change(name, segment, EMPTY)  # its writer goes no further
        elif segment.state == WRITING and is_abandoned:
            await self._finish(name, segment)
        elif segment.state == SEALED:
            gone_bytes = await self._records.gone_bytes(name)
            if gone_bytes * 2 >= segment.size_bytes:
                await self._compact(name, segment)

    async def _finish(self, name: str, segment: Segment) -> None:
        """Seal the segment of a writer that was killed, with the places that name it."""
        places = await self._writer.fenced(name, await self._records.mail_ids(name))
        left_bytes = sum(place.size_bytes for place in places)
        await self._records.note_gone(name, "", segment.size_bytes - left_bytes)
        await self._records.change(name, segment, SEALED if places else EMPTY)

    async def _compact(self, name: str, segment: Segment) -> None:
        """Take the contents out of a segment if at most half of its octets are left."""
        mail_ids = await self._records.mail_ids(name)
        if not mail_ids:
            log.error("the ids of the contents of the segment %s are missing: it is kept", name)
            return
        left = await self._writer.named(name, mail_ids)
        if not left:
            await self._records.change(name, segment, EMPTY)
            return
        if sum(place.size_bytes for _, _, place in left) * 2 > segment.size_bytes:
            return
        octets = await self._writer.objects.get(name)
        for mail_id, stored, place in left:
            part = None if octets is None else octets[place.start : place.start + place.size_bytes]
            if is_whole(mail_id, place, part) and part is not None:
                await self._add(Part(mail_id, stored, place, part))
        self._emptied.append((name, segment))

    async def _add(self, part: Part) -> None:
        size_bytes = sum(len(each.octets) for each in self._parts) + len(part.octets)
        if size_bytes > SEGMENT_BYTES or len(self._parts) == CONTENTS_MAX:
            await self._write()
        self._parts.append(part)

    async def _write(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            await self._writer.write(parts)

    async def _flush(self) -> None:
        """Write what is left, and look at the segments again that it left."""
        await self._write()
        for name, segment in self._emptied:
            if not await self._writer.named(name, await self._records.mail_ids(name)):
                await self._records.change(name, segment, EMPTY)
                self.compacted += 1

    async def _delete_empty(self, page: list[tuple[str, Segment]]) -> None:
        before_ms = now_ms() - self._config.kept_ms
        due = [row for row in page if row[1].state == EMPTY and row[1].since_ms < before_ms]
        if not due:
            return
        async with self._alone() as may_delete:
            for name, segment in due:
                if may_delete():
                    await self._delete(name, segment)

    async def _delete(self, name: str, segment: Segment) -> None:
        """Delete the object and then the record of a segment."""
        if await self._writer.named(name, await self._records.mail_ids(name)):
            log.error("the segment %s is empty by its record, but places name it", name)
            await self._records.change(name, segment, SEALED)
            return
        await self._writer.objects.delete(name)
        await self._records.forget(name, segment)
        self.deleted += 1
