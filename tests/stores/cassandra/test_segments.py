"""Segments on a real Cassandra node and a real S3 server: the contracts, races, and cut calls."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from mail.errors import ContentMissing, StoreUnavailable
from mail.ids import new_id
from schemas.cql.content import OBJECT, ROW, SEGMENT, ContentPlace
from stores.cassandra.content_store import ROW_MAX_BYTES, CassandraContentStore
from stores.cassandra.segments.compactor import CompactorConfig
from stores.cassandra.segments.packer import PackerConfig
from stores.cassandra.segments.segment_writer import SEGMENT_BYTES
from stores.cassandra.segments.upkeep import SegmentUpkeep
from stores.cassandra.session import CassandraSession
from tests.contracts.content_packing import ContentPackingContract
from tests.contracts.content_store import ContentStoreContract
from tests.contracts.content_sweep import ContentSweepContract
from tests.stores.cassandra.conftest import ScopedSession
from tests.stores.cassandra.cut_calls import Cuts, CutWritesSession
from tests.stores.cassandra.segments import AT_ONCE, PackedBetweenCalls, Segmented

pytestmark = pytest.mark.distributed
Contents = dict[str, bytes]


@pytest.fixture
def store(session, objects) -> Segmented:
    return Segmented(session, objects)


class TestContentsThatMoveBetweenCalls(ContentStoreContract, ContentSweepContract):
    @pytest.fixture
    def contents(self, store) -> PackedBetweenCalls:
        return PackedBetweenCalls(store)


class TestSegmentUpkeep(ContentPackingContract):
    @pytest.fixture
    def contents(self, store) -> CassandraContentStore:
        return store.contents

    @pytest.fixture
    def packing(self, store) -> SegmentUpkeep:
        compaction = CompactorConfig(kept_ms=-1)
        return store.contents.upkeep(packing=AT_ONCE, compaction=compaction)


async def filled(store: Segmented, count: int) -> Contents:
    """Small contents, the first of which is the largest, and packed into one segment."""
    contents = {new_id(): bytes([number]) * (1000 - number) for number in range(count)}
    for mail_id, content in contents.items():
        await store.contents.put(mail_id, content)
    return contents


async def has(store: Segmented, contents: Contents) -> None:
    for mail_id, content in contents.items():
        assert await store.contents.get(mail_id) == content
        part = await store.contents.read(mail_id, start=3, size_bytes=5)
        assert part == content[3:8]


async def test_rows_become_segments_of_at_most_8_mib(session, objects) -> None:
    store = Segmented(session, objects, PackerConfig(age_min_ms=0))
    contents = {new_id(): bytes([n]) * ROW_MAX_BYTES for n in range(70)}
    large, empty = new_id(), new_id()
    await asyncio.gather(*(store.contents.put(*each) for each in contents.items()))
    await store.contents.put(large, b"x" * (ROW_MAX_BYTES + 1))
    await store.contents.put(empty, b"")
    await store.upkeep.turn()
    assert store.objects.puts[1:] == [SEGMENT_BYTES], "the rest waits for more"
    places = [await store.place(mail_id) for mail_id in contents]
    assert sorted(place.where for place in places) == [ROW] * 6 + [SEGMENT] * 64
    assert len(await store.rows()) == 7
    assert [(await store.place(each)).where for each in (large, empty)] == [OBJECT, ROW]
    await has(store, contents)


async def test_a_content_that_is_new_is_not_packed(session, objects) -> None:
    store = Segmented(session, objects, PackerConfig(age_max_ms=0))
    contents = await filled(store, 2)
    await store.upkeep.turn()
    assert len(await store.rows()) == 2
    await has(store, contents)


async def test_a_segment_of_which_half_is_gone_is_written_again(store) -> None:
    contents = await filled(store, 6)
    await store.settle()
    first = await store.segments()
    few, rest = list(contents)[:2], list(contents)[2:4]
    await store.contents.sweep(loose=few, turns=1)
    await store.settle()
    assert await store.segments() == first, "a third is gone"
    await store.contents.sweep(loose=rest, turns=1)
    await store.settle()
    (second,) = await store.segments()
    assert [second] != first
    assert await store.stored_objects() == [second]
    assert await store.contents.missing(list(contents)) == few + rest
    await has(store, {mail_id: contents[mail_id] for mail_id in list(contents)[4:]})


async def test_segments_that_are_half_empty_are_written_together(store) -> None:
    kept: Contents = {}
    for _ in range(3):
        contents = await filled(store, 4)
        await store.upkeep.packer.turn()
        await store.contents.sweep(loose=list(contents)[:3], turns=1)
        kept |= dict(list(contents.items())[3:])
    await store.settle()
    assert len(await store.segments()) == len(await store.stored_objects()) == 1
    await has(store, kept)


async def test_under_a_lease_contents_move_but_no_object_is_deleted(store) -> None:
    contents = await filled(store, 4)
    await store.settle()
    await store.contents.sweep(loose=list(contents)[:3], turns=1)
    await store.contents.take_lease("lease", "a backup")
    await store.settle()
    assert len(await store.stored_objects()) == 2
    await store.contents.end_lease("lease")
    await store.settle()
    assert len(await store.stored_objects()) == 1


async def test_a_reader_whose_body_has_gone_reads_the_place_again(store) -> None:
    class Slow(CassandraContentStore):
        """Runs the upkeep between a place and its body, `moves` times."""

        moves = 0

        async def _octets(self, place: ContentPlace, start: int, size_bytes: int) -> bytes | None:
            if self.moves:
                self.moves -= 1
                await self.before_body()
            return await super()._octets(place, start, size_bytes)

        async def before_body(self) -> None:
            await store.contents.sweep(loose=[other], turns=1)
            await store.settle()

    (kept, content), (other, _) = (await filled(store, 2)).items()
    slow = Slow(store.session, store.objects, store.key_of)
    for moves in (1, 2):  # from a row into a segment, then into the next segment
        slow.moves = moves
        assert await slow.get(kept) == content
        await store.contents.put(other, content)
    await store.contents.put(other, content)
    await store.settle()
    slow.moves = 1
    slow.before_body = lambda: store.contents.sweep(loose=[kept], turns=1)
    await store.objects.delete((await store.place(kept)).key)
    with pytest.raises(ContentMissing):
        await slow.get(kept)


async def test_a_writer_that_was_given_up_loses_nothing_and_leaves_nothing(
    session, objects
) -> None:
    """It stops before each step of a segment, and goes on after the segment was deleted."""
    for step in ("begin", "put", "exchange", "close"):
        slow, other = Segmented(session, objects), Segmented(session, objects)
        contents = await filled(slow, 3)
        writer, gate = slow.upkeep.packer._writer, Gate()
        of: Any = {"put": slow.objects, "exchange": writer.places}.get(step, writer.records)
        setattr(of, step, gate.before(getattr(of, step)))
        packing = asyncio.create_task(slow.upkeep.packer.turn())
        await gate.reached.wait()
        for _ in range(3):
            await other.upkeep.compactor.turn()
        gate.opened.set()
        await packing
        await has(slow, contents)
        await other.settle()
        await other.nothing_is_left_over()
        assert await other.rows() == []


async def test_a_place_that_comes_late_keeps_its_body(session, objects) -> None:
    """The packer has seen that no place names the body, and the put goes on then."""
    putting, packing, mail_id = Segmented(session, objects), Segmented(session, objects), new_id()
    before_place, before_deletion = Gate(), Gate()
    of: Any = putting.contents
    of._in_time = before_place.before(of._in_time)
    places: Any = packing.upkeep.packer._writer.places
    places.get_serial = before_deletion.before(places.get_serial)
    put = asyncio.create_task(putting.contents.put(mail_id, b"content"))
    await before_place.reached.wait()
    turn = asyncio.create_task(packing.upkeep.packer.turn())
    await before_deletion.reached.wait()
    before_place.opened.set()
    await put
    before_deletion.opened.set()
    await turn
    assert await putting.contents.get(mail_id) == b"content"


class Gate:
    """Holds a call until it is opened."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def held(*values: Any, **named: Any) -> Any:
            self.reached.set()
            await self.opened.wait()
            return await call(*values, **named)

        return held


async def test_packers_compactors_puts_and_sweeps_at_once(session, objects) -> None:
    """The packers delete no body whose put is under way; the last store, when no put is."""
    while_put = replace(AT_ONCE, body_kept_ms=60_000)
    stores = [Segmented(session, objects, while_put) for _ in range(2)]
    stores.append(Segmented(session, objects))
    contents = await filled(stores[0], 24)
    ids = list(contents)
    kept, swept, again = ids[::3], ids[1::3], ids[2::3]
    done = asyncio.Event()

    async def moves(store: Segmented) -> None:
        while not done.is_set():
            with suppress(StoreUnavailable):  # the other gave up the segment
                await store.upkeep.turn()

    async def reads() -> None:
        while not done.is_set():
            await has(stores[2], {mail_id: contents[mail_id] for mail_id in kept})

    movers = [asyncio.create_task(moves(store)) for store in stores[:2]]
    reader = asyncio.create_task(reads())
    for _ in range(5):
        await repeated(lambda: stores[2].contents.sweep(loose=[*swept, *again], turns=1))
        for mail_id in again:
            await repeated(partial(stores[2].contents.put, mail_id, contents[mail_id]))
    done.set()
    await asyncio.gather(*movers, reader)
    await stores[2].settle()
    assert await stores[2].contents.missing(ids) == swept
    await has(stores[2], {mail_id: contents[mail_id] for mail_id in kept + again})
    await stores[2].nothing_is_left_over()


async def repeated(call: Callable[[], Awaitable[Any]]) -> None:
    """Repeat a call while others change the same places all the time."""
    while True:
        with suppress(StoreUnavailable):
            await call()
            return


class CutContents:
    """Calls on contents in segments that are cut at each request, of Cassandra and of S3."""

    def __init__(self, connected: CassandraSession, scope: str, objects: Any) -> None:
        self.cuts = Cuts(connected, scope, CutWritesSession)
        self._objects = objects

    async def each(self, prepare: Any, call: Any, kept: Callable[[list[str]], list[str]]) -> int:
        """Cut `call`; then the contents that `kept` selects are there, and nothing is left over."""

        async def check(store: Segmented, contents: Contents) -> None:
            await has(store, {mail_id: contents[mail_id] for mail_id in kept(list(contents))})
            await store.take_over()
            await call(store, contents)
            await store.settle()
            await has(store, {mail_id: contents[mail_id] for mail_id in kept(list(contents))})
            await store.nothing_is_left_over()
            assert await store.rows() == []

        return await self.cuts.each(self.store, prepare, call, check)

    def store(self, session: CassandraSession) -> Segmented:
        assert isinstance(session, ScopedSession)
        return Segmented(session, self._objects)


@pytest.fixture
def cut(connected, session, objects) -> CutContents:
    return CutContents(connected, session.scope, objects)


async def four(store: Segmented) -> Contents:
    return await filled(store, 4)


async def packed(store: Segmented) -> Contents:
    contents = await filled(store, 4)
    await store.upkeep.turn()
    return contents


async def half_gone(store: Segmented) -> Contents:
    contents = await packed(store)
    await store.contents.sweep(loose=list(contents)[:3], turns=1)
    return contents


async def turn(store: Segmented, _: Contents) -> None:
    await store.upkeep.turn()


async def test_packing_is_cut(cut) -> None:
    assert await cut.each(four, turn, lambda ids: ids) > 12


async def test_compaction_is_cut(cut) -> None:
    async def turns(store: Segmented, _: Contents) -> None:
        await store.upkeep.compactor.turn()
        await store.upkeep.compactor.turn()

    assert await cut.each(half_gone, turns, lambda ids: ids[3:]) > 8


async def test_a_sweep_of_packed_contents_is_cut(cut) -> None:
    async def sweep(store: Segmented, contents: Contents) -> None:
        await store.contents.sweep(loose=list(contents)[:3], turns=1)

    assert await cut.each(packed, sweep, lambda ids: ids[3:]) > 10


async def test_a_put_is_cut(cut) -> None:
    async def nothing(_: Segmented) -> Contents:
        return {new_id(): b"small" * 100, new_id(): b"x" * (ROW_MAX_BYTES + 1)}

    async def put(store: Segmented, contents: Contents) -> None:
        for mail_id, content in contents.items():
            await store.contents.put(mail_id, content)

    async def check(store: Segmented, contents: Contents) -> None:
        await put(store, contents)
        await store.settle()
        await has(store, contents)
        await store.nothing_is_left_over()

    assert await cut.cuts.each(cut.store, nothing, put, check) > 6
