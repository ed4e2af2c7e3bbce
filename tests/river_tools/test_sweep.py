"""sweep: what nobody needs goes, what anybody needs stays; on real stores and a real broker."""

from collections.abc import AsyncIterator

import pytest

from agents.ports import SweepPorts
from agents.sweep import DAY_MS, SweepConfig, Sweeper
from mail.errors import BrokerUnavailable
from mail.holding import holder_of
from mail.ids import message_id, new_id
from schemas.content import Stored
from schemas.records import QUARANTINE_HOLDER, Holder
from stores.packed_content import PackedContentStore
from stores.sqlite_holders import SqliteHolders
from stores.sqlite_quarantine import SqliteQuarantine
from streams.config import PublisherConfig, TopicsConfig
from streams.in_flight import LogSearch
from streams.log_client import LogClient
from streams.publisher import KafkaPublisher
from streams.topics import make_topics
from tests.contracts.content_store import uuid7_of
from tests.custody.world import Log, quarantined
from tests.river_tools.conftest import commit, fresh
from tests.river_tools.made import validated

NOW_MS = 1_800_000_000_000
OLD_MS = NOW_MS - 8 * DAY_MS
SMALL, BIG = b"x", b"x" * 100_000


@pytest.fixture
async def ports(tmp_path) -> AsyncIterator[SweepPorts]:
    contents = await PackedContentStore.open(tmp_path / "content.sqlite", tmp_path / "content")
    holders = await SqliteHolders.open(tmp_path / "holders.sqlite")
    quarantine = await SqliteQuarantine.open(tmp_path / "quarantine.sqlite")
    yield SweepPorts(contents=contents, holders=holders, quarantine=quarantine, in_flight=Log())
    for store in (contents, holders, quarantine):
        await store.close()


def sweeper_of(ports: SweepPorts, *, pages: int = 400) -> Sweeper:
    return Sweeper(ports, SweepConfig(page=2, pages=pages), now_ms=lambda: NOW_MS)


async def put(ports: SweepPorts, *, at_ms: int = OLD_MS, content: bytes = SMALL) -> str:
    return (await ports.contents.put(uuid7_of(at_ms), content)).ref


async def hold(ports: SweepPorts, ref: str, holder: str) -> None:
    await ports.holders.hold([Holder(mail_id=ref, holder=holder, ref=ref)])


@pytest.mark.parametrize("content", [SMALL, BIG])
async def test_only_what_is_old_and_held_by_nobody_goes(ports: SweepPorts, content: bytes) -> None:
    gone = [await put(ports, content=content) for _ in range(5)]
    young = await put(ports, at_ms=NOW_MS - 6 * DAY_MS, content=content)
    kept = [await put(ports, content=content) for _ in range(4)]
    await hold(ports, kept[0], "user:u1")
    await hold(ports, kept[1], QUARANTINE_HOLDER)
    await ports.quarantine.put(quarantined(kept[2], content=Stored(kept[2], 1, "")))
    ports.in_flight.there = {kept[3]: frozenset({""})}
    sweeper = sweeper_of(ports)
    await sweeper.turn()
    assert await ports.contents.absent([*gone, young, *kept]) == gone
    assert sweeper.deleted == 5


async def test_a_destroyed_message_leaves_its_content_unless_another_has_it(
    ports: SweepPorts,
) -> None:
    ref = await put(ports)
    for user in ("ann", "bob"):
        await hold(ports, ref, holder_of(ref, user, message_id(ref, user)))
    for user in ("ann", "bob"):
        await sweeper_of(ports).turn()
        assert await ports.contents.absent([ref]) == []
        await ports.holders.release(ref, holder_of(ref, user, message_id(ref, user)))
    await sweeper_of(ports).turn()
    assert await ports.contents.absent([ref]) == [ref]


async def test_a_turn_is_bounded_and_the_next_one_goes_on(ports: SweepPorts) -> None:
    for content in (SMALL, BIG):
        for _ in range(5):
            await hold(ports, await put(ports, content=content), "user:u1")
    loose = [await put(ports, content=content) for content in (SMALL, BIG)]
    sweeper, turns = sweeper_of(ports, pages=2), 0
    while await ports.contents.absent(loose) != loose:
        await sweeper.turn()
        turns += 1
        assert turns < 400
    assert turns > 1


async def test_what_comes_out_of_quarantine_meanwhile_stays(ports: SweepPorts) -> None:
    """Released between the search of the log and the second look: the first look knew it."""
    ref = await put(ports)
    await hold(ports, ref, QUARANTINE_HOLDER)
    other = await put(ports)

    async def waiting(_ids):
        await ports.holders.release(ref, QUARANTINE_HOLDER)
        return {}

    ports.in_flight.waiting = waiting
    await sweeper_of(ports).turn()
    assert await ports.contents.absent([ref, other]) == [other]


async def test_what_is_stored_meanwhile_stays(ports: SweepPorts) -> None:
    ref = await put(ports)

    async def waiting(_ids):
        await hold(ports, ref, "user:u1")
        return {}

    ports.in_flight.waiting = waiting
    await sweeper_of(ports).turn()
    assert await ports.contents.absent([ref]) == []


async def test_without_the_log_nothing_is_deleted(ports: SweepPorts) -> None:
    ref = await put(ports)

    async def waiting(_ids):
        raise BrokerUnavailable("odd")

    ports.in_flight.waiting = waiting
    sweeper = sweeper_of(ports)
    with pytest.raises(BrokerUnavailable):
        await sweeper.turn()
    assert await ports.contents.absent([ref]) == []


@pytest.mark.kafka
async def test_mail_held_by_a_scanner_for_days_keeps_its_content(broker, ports) -> None:
    """Its record may be young: another stage held the mail before."""
    await make_topics(TopicsConfig(bootstrap=broker.bootstrap, partitions=3))
    river = KafkaPublisher(PublisherConfig(bootstrap=broker.bootstrap, linger_ms=0))
    await river.start()
    prefix = fresh("prefix")
    search = LogSearch(broker.bootstrap, group_prefix=prefix)
    ports = SweepPorts(
        contents=ports.contents, holders=ports.holders, quarantine=ports.quarantine,
        in_flight=search,
    )  # fmt: skip
    held, orphan = await put(ports, content=BIG), await put(ports, content=BIG)
    await river.publish(validated(held), validated(new_id()))
    await river.stop()
    await sweeper_of(ports).turn()
    assert await ports.contents.absent([held, orphan]) == [orphan]
    async with LogClient(broker.bootstrap) as log:
        ends = await log.ends(await log.partitions(["mail.validated"]))
    await commit(broker.bootstrap, prefix + "scan", {tuple(part): at for part, at in ends.items()})
    await sweeper_of(ports).turn()
    assert await ports.contents.absent([held]) == [held]
