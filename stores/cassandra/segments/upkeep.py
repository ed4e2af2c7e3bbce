"""Both jobs of segments for one process: pack first, then compact."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from mail.ports import ContentPacking
from schemas.content import PackingCounts
from stores.cassandra.segments.compactor import CompactorConfig, SegmentCompactor
from stores.cassandra.segments.packer import PackerConfig, SegmentPacker
from stores.cassandra.segments.segment_writer import Objects, SegmentWriter
from stores.cassandra.session import CassandraSession


class SegmentUpkeep(ContentPacking):
    """The jobs over a session. `alone`: see SegmentCompactor."""

    def __init__(
        self,
        session: CassandraSession,
        objects: Objects,
        key_of: Callable[[str], str],
        alone: Callable[[], AbstractAsyncContextManager[Callable[[], bool]]],
        *,
        packing: PackerConfig | None = None,
        compaction: CompactorConfig | None = None,
    ) -> None:
        writer = SegmentWriter(session, objects, key_of)
        self.packer = SegmentPacker(session, writer, packing)
        self.compactor = SegmentCompactor(writer, alone, compaction)

    async def turn(self) -> None:
        """Raises StoreUnavailable."""
        await self.packer.turn()
        await self.compactor.turn()

    def counts(self) -> PackingCounts:
        return PackingCounts(
            contents=self.packer.packed,
            written=self.packer.segments,
            compacted=self.compactor.compacted,
            deleted=self.compactor.deleted,
        )
