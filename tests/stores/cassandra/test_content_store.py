"""Contents on a real Cassandra node and a real S3 server: the contract suites, and the races."""

import asyncio

import pytest

from mail.errors import ContentMissing, StoreUnavailable
from mail.ids import new_id
from schemas.cql.content import SweepState
from stores.cassandra.content_store import ROW_MAX_BYTES, CassandraContentStore
from stores.cassandra.content_sweep import SWEEP_MAX_S, TAKE_OVER_S
from stores.s3.objects import ObjectsConfig, S3Objects, spread_key
from tests.contracts.content_store import ContentStoreContract
from tests.contracts.content_sweep import ContentSweepContract
from tests.support.broker import free_ports

pytestmark = pytest.mark.distributed
LARGE = b"x" * (ROW_MAX_BYTES + 1)


@pytest.fixture
def contents(session, objects) -> CassandraContentStore:
    return CassandraContentStore(session, objects, spread_key)


class TestCassandraContentStore(ContentStoreContract, ContentSweepContract):
    pass


async def test_bodies_of_puts_that_lost_are_deleted(contents, objects) -> None:
    mail_id = new_id()
    stored = await asyncio.gather(*(contents.put(mail_id, LARGE + b"%d" % n) for n in range(8)))
    assert len(set(map(str, stored))) == 1
    kept = await contents._places.get(mail_id)
    assert kept is not None
    pages = [page async for page in objects._store.list()]
    assert [each["path"] for page in pages for each in page if mail_id in each["path"]] == [
        kept.key
    ]


@pytest.mark.parametrize("content", [b"small", LARGE])
async def test_a_late_deletion_does_not_meet_the_next_body(contents, content) -> None:
    """A sweep that stops between the place and the body goes on after the id was put again."""
    mail_id = new_id()
    await contents.put(mail_id, content)
    first = await contents._places.get(mail_id)
    assert first is not None
    await contents._places.change(mail_id, to=lambda _: None)
    await contents.put(mail_id, content)
    await contents._delete_body(first)
    assert await contents.get(mail_id) == content


async def test_a_put_against_a_sweep_leaves_the_content_or_nothing_and_never_a_wrong_size(
    contents,
) -> None:
    for round_ in range(6):
        mail_id = new_id()
        await contents.put(mail_id, b"first")
        await contents.sweep(loose=[mail_id], turns=2)
        stored, _ = await asyncio.gather(
            contents.put(mail_id, b"second"), contents.sweep(loose=[mail_id], turns=2)
        )
        try:
            octets = await contents.get(mail_id)
        except ContentMissing:  # the put was first, and the sweep after it was the last round
            pytest.fail(f"round {round_}: a put that returned was deleted")
        assert len(octets) == stored.size_bytes


async def test_a_lease_waits_for_the_sweep_that_runs(contents) -> None:
    await contents._state.change("contents", to=lambda _: SweepState(running="other"))
    taking = asyncio.create_task(contents.take_lease("lease", "a backup"))
    await asyncio.sleep(0.3)
    assert not taking.done()
    await contents._change_state(lambda now: SweepState(leases=now.leases))
    await taking
    assert await contents.sweep(loose=["x"], turns=1) == []


async def test_a_sweep_whose_process_was_killed_is_taken_over(session, objects) -> None:
    now_s = [0.0]
    contents = CassandraContentStore(session, objects, spread_key)
    contents._clock_s = lambda: now_s[0]
    await contents._state.change("contents", to=lambda _: SweepState(running="killed"))
    sweeping = asyncio.create_task(contents.sweep(loose=["x"], turns=1))
    await asyncio.sleep(0.3)
    assert not sweeping.done()
    now_s[0] += TAKE_OVER_S + 1
    assert await sweeping == ["x"]
    assert SWEEP_MAX_S < TAKE_OVER_S / 2


async def test_without_a_server_the_store_is_unavailable(session) -> None:
    config = ObjectsConfig(
        endpoint=f"http://127.0.0.1:{free_ports(1)[0]}", access_key="a", secret_key="b",
        request_timeout_s=1, retries=0,
    )  # fmt: skip
    contents = CassandraContentStore(session, S3Objects.open(config), spread_key)
    with pytest.raises(StoreUnavailable, match="s3"):
        await contents.put(new_id(), LARGE)
