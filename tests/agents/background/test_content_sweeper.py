"""Content sweep: contents without holder are deleted, others stay; real stores and broker."""

from collections.abc import AsyncIterator

import pytest

from agents.background.content_sweeper import ContentSweeper, SweepConfig
from agents.ports import SweepPorts
from mail.errors import BrokerUnavailable, StoreUnavailable
from mail.ids import dated_id, holder_of, message_id, new_id
from mail.mime.outline.builder import outline_of
from schemas.content import Stored
from schemas.holders import QUARANTINE_HOLDER, Holder
from smtp.server.config import SmtpConfig
from stores.memory import MemoryOutlineStore
from stores.sqlite.content_store import SqliteContentStore
from stores.sqlite.holders import SqliteHolders
from stores.sqlite.outline_store import SqliteOutlineStore
from stores.sqlite.quarantine import SqliteQuarantine
from streams.config import PublisherConfig, TopicsConfig
from streams.log_client import LogClient
from streams.publisher import KafkaPublisher
from streams.readers.in_flight_search import LogInFlightMails
from streams.topics.admin import make_topics
from tests.support.custody_world import Log, quarantined
from tests.support.event_builders import validated
from tests.support.log import commit, fresh

SMALL, BIG = b"x", b"x" * 200_000
TURN_S = 300.0
TURNS = 3


@pytest.fixture
async def ports(tmp_path) -> AsyncIterator[SweepPorts]:
    contents = await SqliteContentStore.open(tmp_path / "content.sqlite", tmp_path / "content")
    holders = await SqliteHolders.open(tmp_path / "holders.sqlite")
    quarantine = await SqliteQuarantine.open(tmp_path / "quarantine.sqlite")
    outlines = await SqliteOutlineStore.open(tmp_path / "outlines.sqlite")
    yield SweepPorts(
        contents=contents, outlines=outlines, holders=holders, quarantine=quarantine,
        in_flight=Log(),
    )  # fmt: skip
    for store in (contents, outlines, holders, quarantine):
        await store.close()


class Sweeping:
    """A sweeper, and a hand on its monotonic clock."""

    def __init__(self, ports: SweepPorts, *, pages: int = 400, turns: int = TURNS) -> None:
        self.now_s = 5_000.0
        config = SweepConfig(page=2, pages=pages, turns=turns, turn_s=TURN_S)
        self.sweeper = ContentSweeper(ports, config, clock_s=lambda: self.now_s)

    async def turns(self, count: int = 1, *, after_s: float = TURN_S) -> None:
        for _ in range(count):
            self.now_s += after_s
            await self.sweeper.turn()


async def put(ports: SweepPorts, content: bytes = SMALL) -> str:
    return (await ports.contents.put(new_id(), content)).ref


async def holder_rows(ports: SweepPorts) -> int:
    count = "SELECT count(*) FROM holder"
    return await ports.holders.file.read(lambda c: c.execute(count).fetchone()[0])


async def hold(ports: SweepPorts, ref: str, holder: str) -> None:
    await ports.holders.hold([Holder(mail_id=ref, holder=holder, ref=ref)])


@pytest.mark.parametrize("content", [SMALL, BIG])
async def test_only_what_was_loose_for_all_turns_goes(ports: SweepPorts, content: bytes) -> None:
    gone = [await put(ports, content) for _ in range(5)]
    kept = [await put(ports, content) for _ in range(4)]
    await hold(ports, kept[0], "user:u1")
    await hold(ports, kept[1], QUARANTINE_HOLDER)
    await ports.quarantine.put(quarantined(kept[2], content=Stored(kept[2], 1, "")))
    ports.in_flight.there = {kept[3]: frozenset({""})}
    sweeping = Sweeping(ports)
    await sweeping.turns(TURNS - 1)
    young = await put(ports, content)
    assert await ports.contents.missing([*gone, young, *kept]) == []
    await sweeping.turns()
    assert await ports.contents.missing([*gone, young, *kept]) == gone
    assert sweeping.sweeper.deleted == 5


class DiesBeforeDelete(MemoryOutlineStore):
    """Fails at the first deletion of outlines."""

    died = False

    async def delete(self, mail_ids) -> None:
        if mail_ids and not self.died:
            self.died = True
            raise StoreUnavailable("outlines")
        await super().delete(mail_ids)


@pytest.mark.parametrize("content", [SMALL, BIG])
async def test_outlines_go_with_their_contents(ports: SweepPorts, content: bytes) -> None:
    gone, kept, waiting = [await put(ports, content) for _ in range(3)]
    alone, in_log = new_id(), new_id()  # outlines of mails without a content
    await hold(ports, kept, "user:u1")
    for mail_id in (gone, kept, waiting, alone, in_log):
        await ports.outlines.put(mail_id, outline_of(b"Subject: a\r\n\r\nhi"))
    ports.in_flight.there = {waiting: frozenset({""}), in_log: frozenset({""})}
    sweeping = Sweeping(ports)
    await sweeping.turns(TURNS - 1)
    assert len(await ports.outlines.ids(after="", limit=9)) == 5
    await sweeping.turns()
    assert await ports.outlines.ids(after="", limit=9) == sorted([kept, waiting, in_log])


async def test_an_outline_that_outlived_its_content_is_deleted_later(ports: SweepPorts) -> None:
    outlines = DiesBeforeDelete()
    ref = await put(ports)
    await ports.holders.release(ref, "user:u1")
    await outlines.put(ref, outline_of(b"Subject: a\r\n\r\nhi"))
    sweeping = Sweeping(
        SweepPorts(
            contents=ports.contents, outlines=outlines, holders=ports.holders,
            quarantine=ports.quarantine, in_flight=Log(),
        )
    )  # fmt: skip
    await sweeping.turns(TURNS - 1)
    with pytest.raises(StoreUnavailable):
        await sweeping.turns()
    assert await ports.contents.missing([ref]) == [ref]
    assert list(outlines.outlines) == [ref]
    await sweeping.turns(TURNS)
    assert outlines.outlines == {}
    assert await holder_rows(ports) == 0


async def test_turns_are_apart_by_the_monotonic_clock_and_a_restart_shortens_nothing(
    ports: SweepPorts,
) -> None:
    """Calls in between do not count, nor do processes that end before their first turn."""
    ref = await put(ports)
    sweeping = Sweeping(ports)
    await sweeping.turns(100, after_s=TURN_S / 200)
    for _ in range(100):
        await Sweeping(ports).turns(after_s=TURN_S - 1)
    assert await ports.contents.loose(after="", limit=9) == []
    for turn in range(TURNS):  # each in a process of its own: the count is stored
        assert await ports.contents.missing([ref]) == []
        await Sweeping(ports).turns(2 if turn == 0 else 1, after_s=TURN_S if turn else TURN_S / 2)
    assert await ports.contents.missing([ref]) == [ref]


def test_two_turns_are_further_apart_than_an_acceptance_takes() -> None:
    assert SweepConfig().turn_s > SmtpConfig(hostname="mx.test").accept_max_s
    assert SweepConfig().turns * SweepConfig().turn_s >= 86_400
    with pytest.raises(ValueError, match="turns"):
        SweepConfig(turns=1)


async def test_a_wall_clock_in_the_wrong_year_deletes_nothing(ports: SweepPorts) -> None:
    """Put, swept between the put and the acknowledgement of its event, acknowledged: it stays."""
    ref = (await ports.contents.put(dated_id(0, "from 1970"), BIG)).ref
    log: Log = ports.in_flight
    plain = log.waiting

    async def waiting(ids):
        found = await plain(ids)
        log.there = {ref: frozenset({""})}  # acknowledged after the log's ends were read
        return found

    log.waiting = waiting
    sweeping = Sweeping(ports, turns=2)
    await sweeping.turns(5)
    assert await ports.contents.missing([ref]) == []
    assert await ports.contents.loose(after="", limit=9) == []


async def test_a_destroyed_message_leaves_its_content_unless_another_has_it(
    ports: SweepPorts,
) -> None:
    ref = await put(ports)
    for user in ("ann", "bob"):
        await hold(ports, ref, holder_of(ref, user, message_id(ref, user)))
    sweeping = Sweeping(ports)
    for user in ("ann", "bob"):
        await sweeping.turns(TURNS)
        assert await ports.contents.missing([ref]) == []
        await ports.holders.release(ref, holder_of(ref, user, message_id(ref, user)))
    await sweeping.turns(TURNS - 1)
    assert await holder_rows(ports) == 2, "a released holder is remembered"
    await sweeping.turns()
    assert await ports.contents.missing([ref]) == [ref]
    assert await holder_rows(ports) == 0, "until its content is deleted"


async def test_a_content_that_is_held_again_begins_anew(ports: SweepPorts) -> None:
    ref = await put(ports)
    sweeping = Sweeping(ports)
    await sweeping.turns(TURNS - 1)
    await hold(ports, ref, "user:u1")
    await sweeping.turns()
    await ports.holders.release(ref, "user:u1")
    await hold(ports, ref, "user:u1")  # a late repeat
    await sweeping.turns(TURNS - 1)
    assert await ports.contents.missing([ref]) == []
    await sweeping.turns()
    assert await ports.contents.missing([ref]) == [ref]


async def test_a_turn_is_bounded_and_the_next_one_goes_on(ports: SweepPorts) -> None:
    for content in (SMALL, BIG):
        for _ in range(5):
            await hold(ports, await put(ports, content), "user:u1")
    loose = [await put(ports, content) for content in (SMALL, BIG)]
    sweeping, turns = Sweeping(ports, pages=2), 0
    while await ports.contents.missing(loose) != loose:
        await sweeping.turns()
        turns += 1
        assert turns < 400
    assert turns > TURNS


async def test_what_comes_out_of_quarantine_meanwhile_stays(ports: SweepPorts) -> None:
    """Released between the search of the log and the second look: the first look knew it."""
    ref = await put(ports)
    await hold(ports, ref, QUARANTINE_HOLDER)
    other = await put(ports)

    async def waiting(_ids):
        await ports.holders.release(ref, QUARANTINE_HOLDER)
        return {}

    ports.in_flight.waiting = waiting
    await Sweeping(ports).turns()
    assert await ports.contents.loose(after="", limit=9) == [other]


async def test_what_is_stored_meanwhile_stays(ports: SweepPorts) -> None:
    ref = await put(ports)

    async def waiting(_ids):
        await hold(ports, ref, "user:u1")
        return {}

    ports.in_flight.waiting = waiting
    await Sweeping(ports, turns=2).turns(5)
    assert await ports.contents.missing([ref]) == []


async def test_a_search_that_fails_counts_nothing_and_goes_on_for_the_same_mails(
    ports: SweepPorts,
) -> None:
    """A piece of a search proves something only behind the first look that it began with."""
    ref = await put(ports)
    asked = []

    async def waiting(ids):
        asked.append(list(ids))
        if len(asked) < 3:
            sweeping.now_s += 60.0  # it takes its time
            raise BrokerUnavailable("odd")
        return {}

    ports.in_flight.waiting = waiting
    sweeping = Sweeping(ports)
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            await sweeping.turns()
        await put(ports)
        await sweeping.turns(3)  # 60 s of work are paused for 1,200 s
    assert await ports.contents.loose(after="", limit=9) == []
    await sweeping.turns()
    assert asked == [[ref]] * 3
    assert await ports.contents.loose(after="", limit=9) == [ref]


async def test_a_lease_that_beats_pauses_the_sweep_one_that_does_not_ends(
    ports: SweepPorts, caplog: pytest.LogCaptureFixture
) -> None:
    ref = await put(ports)
    sweeping = Sweeping(ports, turns=2)
    await ports.contents.take_lease("b1", "a backup")
    for _ in range(10):
        await ports.contents.renew_lease("b1")
        await sweeping.turns()
    assert [lease.purpose for lease in sweeping.sweeper.leases] == ["a backup"]
    assert await ports.contents.loose(after="", limit=9) == []
    await sweeping.turns(3)  # 900 s without a beat
    assert sweeping.sweeper.leases
    await sweeping.turns()
    assert sweeping.sweeper.leases == []
    assert "a backup" in caplog.text
    assert not await ports.contents.renew_lease("b1")
    await sweeping.turns()
    assert await ports.contents.missing([ref]) == [ref]


@pytest.mark.kafka
async def test_mail_held_by_a_scanner_for_days_keeps_its_content(broker, ports) -> None:
    """Its record may be young: another stage held the mail before."""
    await make_topics(TopicsConfig(bootstrap=broker.bootstrap, partitions=3))
    river = KafkaPublisher(PublisherConfig(bootstrap=broker.bootstrap, linger_ms=0))
    await river.start()
    prefix = fresh("prefix")
    search = LogInFlightMails(broker.bootstrap, group_prefix=prefix)
    ports = SweepPorts(
        contents=ports.contents, outlines=ports.outlines, holders=ports.holders,
        quarantine=ports.quarantine,
        in_flight=search,
    )  # fmt: skip
    held, orphan = await put(ports, BIG), await put(ports, BIG)
    await river.publish(validated(held), validated(new_id()))
    await river.stop()
    await Sweeping(ports).turns(TURNS)
    assert await ports.contents.missing([held, orphan]) == [orphan]
    async with LogClient(broker.bootstrap) as log:
        ends = await log.ends(await log.partitions(["mail.validated"]))
    await commit(broker.bootstrap, prefix + "scan", {tuple(part): at for part, at in ends.items()})
    await Sweeping(ports).turns(TURNS)
    assert await ports.contents.missing([held]) == [held]
