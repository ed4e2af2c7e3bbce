"""Contents with their packer and compactor, which wait for no age, and what they leave."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from mail.errors import StoreUnavailable
from schemas.cql.content import (
    CONTENT_PLACE,
    CONTENT_ROW,
    CONTENT_SEGMENT,
    SEGMENT,
    ContentPlace,
    SweepState,
)
from stores.cassandra.content_store import CassandraContentStore
from stores.cassandra.segments.compactor import CompactorConfig
from stores.cassandra.segments.packer import PackerConfig
from stores.s3.objects import S3Objects
from tests.stores.cassandra.conftest import ScopedSession
from tests.stores.cassandra.cut_calls import CutSession

AT_ONCE = PackerConfig(age_min_ms=0, age_max_ms=0, body_kept_ms=0)
NO_GRACE = CompactorConfig(abandoned_ms=-1, kept_ms=-1)


class CountedObjects:
    """Objects that count their requests, and are cut together with `session`."""

    def __init__(self, objects: S3Objects, session: ScopedSession) -> None:
        self._objects = objects
        self._session = session
        self.puts: list[int] = []  # sizes
        self.requests = 0

    async def put(self, key: str, octets: bytes) -> None:
        self._step()
        self.puts.append(len(octets))
        await self._objects.put(key, octets)

    async def get(self, key: str) -> bytes | None:
        self._step()
        return await self._objects.get(key)

    async def read(self, key: str, *, start: int, size_bytes: int) -> bytes | None:
        self._step()
        return await self._objects.read(key, start=start, size_bytes=size_bytes)

    async def size(self, key: str) -> int | None:
        self._step()
        return await self._objects.size(key)

    async def delete(self, key: str) -> None:
        self._step()
        await self._objects.delete(key)

    def _step(self) -> None:
        self.requests += 1
        if isinstance(self._session, CutSession):
            self._session.step()


class Segmented:
    """One process: the contents of a scope, and its upkeep."""

    def __init__(
        self, session: ScopedSession, s3: S3Objects, packing: PackerConfig = AT_ONCE
    ) -> None:
        self.session = session
        self.s3 = s3
        self.objects = CountedObjects(s3, session)
        self.contents = CassandraContentStore(session, self.objects, self.key_of)
        self.upkeep = self.contents.upkeep(packing=packing, compaction=NO_GRACE)

    def key_of(self, name: str) -> str:
        return f"{self.session.scope}/{name}"

    async def settle(self) -> None:
        """Do the upkeep until nothing is left for it."""
        for _ in range(4):
            await self.upkeep.turn()

    async def take_over(self) -> None:
        """End the sweep of a process that was cut; other processes wait for TAKE_OVER_S."""
        await self.contents._change_state(lambda now: SweepState(leases=now.leases))

    async def place(self, mail_id: str) -> ContentPlace:
        found = await self.contents._places.get(mail_id)
        assert found is not None
        return found

    async def rows(self) -> list[str]:
        """The bodies that are rows."""
        found = await self.session.read(f"SELECT body_key FROM {CONTENT_ROW.name}")
        return [key for (key,) in found]

    async def segments(self) -> list[str]:
        """The segments that have a record."""
        return [name for name, _ in await self.session.walk(
            CONTENT_SEGMENT, "segment, record", after="", limit=500
        )]  # fmt: skip

    async def stored_objects(self) -> list[str]:
        """The keys of all objects of the scope."""
        pages = [page async for page in self.s3._store.list(prefix=self.key_of(""))]
        return [each["path"] for page in pages for each in page]

    async def nothing_is_left_over(self) -> None:
        """Every object and every row is named by a place, each object of a segment by a record."""
        found = await self.session.walk(CONTENT_PLACE, "mail_id, place", after="", limit=500)
        places = [self.contents._places.decoded(stored) for _, stored in found]
        named = {place.key for place in places}
        assert set(await self.rows()) <= named
        assert set(await self.stored_objects()) <= named
        in_segments = {place.key for place in places if place.where == SEGMENT}
        assert set(await self.segments()) == in_segments


class PackedBetweenCalls:
    """A content store whose contents move before and after each call."""

    def __init__(self, of: Segmented) -> None:
        self._of = of

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._of.contents, name)

        async def call(*values: Any, **named: Any) -> Any:
            await self._move()
            result = await method(*values, **named)
            await self._move()
            return result

        return call

    async def _move(self) -> None:
        with suppress(StoreUnavailable):  # another upkeep gave up the segment
            await self._of.upkeep.turn()
