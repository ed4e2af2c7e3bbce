"""An object that S3 has lost: `audit` and `verify` ask for it once, and name the mails."""

from collections.abc import Iterable

import pytest

from mail.ids import new_id
from operations.audit import audit
from operations.ports import AuditPorts
from schemas.cql.content import CONTENT_ROW, OBJECT, ROW, SEGMENT, ContentPlace
from schemas.ledger import STORED
from stores.cassandra.clock import now_us
from stores.cassandra.content_store import ROW_MAX_BYTES, CassandraContentStore
from stores.memory import MemoryLedger, MemoryMailStore, MemoryQuarantine
from tests.stores.cassandra.segments import Segmented
from tests.support.custody_world import Letters, Log, accepted, store_message

pytestmark = pytest.mark.distributed
PACKED = 20


class Filled(Segmented):
    """PACKED contents in one segment; an object and a row, each for itself."""

    packed: list[str]
    large: str
    row: str
    every: list[str]


@pytest.fixture
async def store(session, objects) -> Filled:
    made = Filled(session, objects)
    made.packed = [new_id() for _ in range(PACKED)]
    for mail_id in made.packed:
        await made.contents.put(mail_id, mail_id.encode())
    await made.settle()
    made.large, made.row = new_id(), new_id()
    await made.contents.put(made.large, b"x" * (ROW_MAX_BYTES + 1))
    await made.contents.put(made.row, b"row")
    every = [*made.packed, made.large, made.row]
    assert {(await made.place(id_)).where for id_ in every} == {SEGMENT, OBJECT, ROW}
    assert await made.contents.missing(every) == []
    made.every = every
    return made


async def test_an_object_is_asked_for_once(store) -> None:
    before = store.objects.requests
    await store.contents.missing(store.every)
    assert store.objects.requests - before == 2, "the segment and the large content"


async def test_what_is_lost_is_named(store) -> None:
    await store.objects.delete((await store.place(store.large)).key)
    assert await store.contents.missing(store.every) == [store.large]
    key = (await store.place(store.row)).key
    await store.session.write([(CONTENT_ROW.delete(), (now_us(), key))])
    assert await store.contents.missing(store.every) == [store.large, store.row]
    await store.objects.delete((await store.place(store.packed[0])).key)
    assert await store.contents.missing(store.every) == store.every


async def test_a_segment_that_was_cut_has_lost_its_last_contents(store) -> None:
    places = {id_: await store.place(id_) for id_ in store.packed}
    last = max(places, key=lambda id_: places[id_].start)
    octets = await store.objects.get(places[last].key)
    await store.objects.put(places[last].key, octets[:-1])
    assert await store.contents.missing(store.every) == [last]


async def test_what_moves_meanwhile_is_not_missing(store) -> None:
    class Slow(CassandraContentStore):
        """Moves the row into a segment between its place and its body."""

        async def _absent(self, places: Iterable[ContentPlace]) -> set[ContentPlace]:
            await store.settle()
            return await super()._absent(places)

    slow = Slow(store.session, store.objects, store.key_of)
    assert await slow.missing(store.every) == []
    assert (await store.place(store.row)).where == SEGMENT


async def test_the_audit_names_the_mails_of_a_lost_segment(store) -> None:
    ports = AuditPorts(
        ledger=MemoryLedger(), store=MemoryMailStore(), quarantine=MemoryQuarantine(),
        contents=store.contents, letters=Letters(), in_flight=Log(),
    )  # fmt: skip
    for mail_id in store.every:
        await store_message(ports.store, store.contents, mail_id, "ann")
    await ports.ledger.add([accepted(mail_id) for mail_id in store.every])
    assert (await audit(ports, since_ms=0, until_ms=10_000, pause_s=0)).lost == ()
    await store.objects.delete((await store.place(store.packed[0])).key)
    found = await audit(ports, since_ms=0, until_ms=10_000, pause_s=0)
    assert {one.mail_id for one in found.lost} == set(store.packed)
    assert {one.why for one in found.lost} == {f"content {id_} is gone" for id_ in store.packed}
    assert found.counts[STORED] == 2
