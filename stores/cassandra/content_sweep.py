"""ContentSweep on Cassandra: counts in the places of contents, leases in one row.

One sweep runs at a time, and none under a lease: both are in the row `content_sweep`. A sweep
ends by itself after SWEEP_MAX_S. If its process was killed, the next one goes on when it
has seen the same sweep for TAKE_OVER_S.
"""

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from zlib import crc32

import msgspec

from mail.clock import now_ms
from mail.errors import StoreUnavailable
from mail.ids import new_id
from schemas.content import Lease
from schemas.cql.content import (
    CONTENT,
    CONTENT_LOOSE,
    CONTENT_PLACE,
    CONTENT_SWEEP,
    LOOSE_BUCKETS,
    NOWHERE,
    ContentPlace,
    SweepState,
)
from schemas.ids import MailId
from stores.cassandra.base import CassandraStore
from stores.cassandra.clock import now_us
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.segments.records import left_segment
from stores.cassandra.segments.segment_writer import in_groups
from stores.cassandra.session import CassandraSession

SWEEP_MAX_S = 20.0
TAKE_OVER_S = 60.0
_LOOK_AGAIN_S = 0.1
_NAME = "contents"
_LOOSE = CONTENT_LOOSE.select("mail_id", "AND mail_id > ? LIMIT ?")


class CassandraContentSweep(CassandraStore):
    """The methods of ContentSweep: counts and leases.

    `clock_s` also counts while the machine is suspended.
    """

    schemas = {"content": CONTENT}  # noqa: RUF012

    def __init__(
        self,
        session: CassandraSession,
        clock_s: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        super().__init__(session)
        self._clock_s = clock_s
        self._places: GuardedRows[ContentPlace] = GuardedRows(session, CONTENT_PLACE, ContentPlace)
        self._state: GuardedRows[SweepState] = GuardedRows(session, CONTENT_SWEEP, SweepState)

    @abstractmethod
    async def _delete_body(self, place: ContentPlace) -> None: ...

    async def loose(self, *, after: str, limit: int) -> list[MailId]:
        found: list[MailId] = []
        while len(found) < limit:
            pages = await asyncio.gather(
                *(
                    self._session.read_at_once(_LOOSE, _NAME, bucket, after, limit)
                    for bucket in range(LOOSE_BUCKETS)
                )
            )
            ids = sorted(mail_id for page in pages for (mail_id,) in page)[:limit]
            places = await self._places.get_many(ids)
            found += [
                mail_id
                for mail_id, place in zip(ids, places, strict=True)
                if place is not None and place.turns
            ]
            if len(ids) < limit:
                break
            after = ids[-1]
        return found[:limit]

    async def sweep(
        self, *, loose: Sequence[str], held: Sequence[str] = (), turns: int
    ) -> list[str]:
        """Raises StoreUnavailable also if it takes more than SWEEP_MAX_S."""
        async with self.alone() as may_delete:
            if not may_delete():
                return []

            async def counted(ref: str) -> bool:
                if not may_delete():
                    raise StoreUnavailable("cassandra", "a sweep took too long")
                return await self._count(ref, turns)

            await in_groups(self._end_count, held)
            expired = await in_groups(counted, loose)
        return [ref for ref, is_expired in zip(loose, expired, strict=True) if is_expired]

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[Callable[[], bool]]:
        """Run the block while no other sweep runs and no lease begins.

        Yields whether it may delete: not under a lease, and for SWEEP_MAX_S only.
        """
        run = new_id()
        if not await self._begin(run):
            yield lambda: False
            return
        ends_s = self._clock_s() + SWEEP_MAX_S
        try:
            yield lambda: self._clock_s() <= ends_s
        finally:
            await self._change_state(
                lambda now: msgspec.structs.replace(now, running="") if now.running == run else now
            )

    async def take_lease(self, lease_id: str, purpose: str) -> None:
        lease = Lease(lease_id=lease_id, purpose=purpose, taken_at_ms=now_ms(), beats=0)
        await self._change_state(
            lambda now: msgspec.structs.replace(now, leases={lease_id: lease} | now.leases)
        )
        await self._wait_for_running()

    async def renew_lease(self, lease_id: str) -> bool:
        def renewed(now: SweepState) -> SweepState:
            lease = now.leases.get(lease_id)
            if lease is None:
                return now
            lease = msgspec.structs.replace(lease, beats=lease.beats + 1)
            return msgspec.structs.replace(now, leases=now.leases | {lease_id: lease})

        return lease_id in (await self._change_state(renewed)).leases

    async def end_lease(self, lease_id: str) -> None:
        def ended(now: SweepState) -> SweepState:
            left = {id_: lease for id_, lease in now.leases.items() if id_ != lease_id}
            return msgspec.structs.replace(now, leases=left)

        await self._change_state(ended)

    async def leases(self) -> list[Lease]:
        state = await self._state.get(_NAME) or SweepState()
        return [state.leases[lease_id] for lease_id in sorted(state.leases)]

    async def _begin(self, run: str) -> bool:
        """Become the sweep that runs; False: there is a lease."""
        while True:
            await self._wait_for_running()
            state = await self._change_state(
                lambda now: (
                    now if now.leases or now.running else msgspec.structs.replace(now, running=run)
                )
            )
            if state.leases:
                return False
            if state.running == run:
                return True

    async def _wait_for_running(self) -> None:
        """Return when no sweep runs; end it if its process must be gone."""
        seen, since_s = "", self._clock_s()
        while running := (await self._state.get(_NAME) or SweepState()).running:
            if running != seen:
                seen, since_s = running, self._clock_s()
            if self._clock_s() - since_s > TAKE_OVER_S:
                await self._change_state(
                    lambda now, gone=seen: (  # type: ignore[misc]
                        msgspec.structs.replace(now, running="") if now.running == gone else now
                    )
                )
                continue
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _change_state(self, change: Callable[[SweepState], SweepState]) -> SweepState:
        changed = await self._state.change(_NAME, to=lambda now: change(now or SweepState()))
        return changed or SweepState()

    async def _count(self, ref: str, turns: int) -> bool:
        """Count one more round; at `turns` delete the content, and return True."""
        gone: ContentPlace | None = None

        def counted(now: ContentPlace | None) -> ContentPlace | None:
            nonlocal gone
            now = now or ContentPlace(where=NOWHERE)
            gone = now if now.turns + 1 >= turns else None
            return None if gone else msgspec.structs.replace(now, turns=now.turns + 1)

        put = CONTENT_LOOSE.put, (_NAME, _bucket_of(ref), ref, now_us())
        await self._places.change(
            ref, to=counted, first=lambda _: [put], before_removal=partial(left_segment, ref)
        )
        if gone is None:
            return False
        await self._delete_body(gone)
        await self._forget_count(ref)
        return True

    async def _end_count(self, ref: str) -> None:
        place = await self._places.get(ref)
        if place is not None and place.turns:
            await self._places.change(ref, to=lambda now: uncounted(now) if is_there(now) else None)
            await self._forget_count(ref)

    async def _forget_count(self, ref: str) -> None:
        """Remove the id from the list of counts; the place says whether it has one."""
        entry = CONTENT_LOOSE.delete(), (now_us(), _NAME, _bucket_of(ref), ref)
        await self._session.write([entry])


def is_there(place: ContentPlace | None) -> bool:
    """Whether the place has a content."""
    return place is not None and place.where != NOWHERE


def uncounted(place: ContentPlace | None) -> ContentPlace | None:
    """The place without a count."""
    return None if place is None else msgspec.structs.replace(place, turns=0)


def _bucket_of(ref: str) -> int:
    return crc32(ref.encode("utf-8", "replace")) % LOOSE_BUCKETS
