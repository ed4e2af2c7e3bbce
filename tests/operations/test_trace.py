"""trace over memory adapters: where a mail is shown, and when the log is searched."""

import msgspec
import pytest

from mail.directory.recipient_resolver import DirectoryResolver
from mail.errors import BrokerUnavailable, NotFound, Refused
from mail.ids import dated_id, message_id, new_id
from operations import accounts
from operations.ports import TracePorts
from operations.trace import (
    PASSED,
    WAITING,
    DeliveryEnd,
    HeldPartition,
    Tracer,
    of_owner,
    uuid_version,
)
from schemas.ledger import PARKED, QUARANTINED, STORED
from schemas.mail import APPEND, Hop
from stores.memory import (
    MemoryContentStore,
    MemoryDirectory,
    MemoryLedger,
    MemoryMailStore,
    MemoryQuarantine,
    MemorySubmissions,
)
from streams.readers.mail_finder import LocatedRecord
from streams.topology import DEAD_LETTERS
from tests.agents.sending.world import AT_MS, SendingWorld, submit
from tests.support.custody_world import accepted, quarantined, store_message
from tests.support.event_builders import deliver

HELD = HeldPartition(topic="mailbox.commands", partition=3, engine="mail store", since_ms=0)


def record(topic: str = "mailbox.commands", *, committed: bool = False, **more) -> LocatedRecord:
    return LocatedRecord(
        topic=topic, partition=3, offset=7, at_ms=0, committed=committed, stage="mailbox",
        event=deliver("m1", "ann"), **more,
    )  # fmt: skip


class World:
    """Stores in memory, and a log that returns `records` or raises `failure`."""

    def __init__(self) -> None:
        self.directory = directory = MemoryDirectory()
        self.contents = MemoryContentStore()
        self.ports = TracePorts(
            ledger=MemoryLedger(),
            submissions=MemorySubmissions(),
            store=MemoryMailStore(),
            quarantine=MemoryQuarantine(),
            users=directory,
            resolver=DirectoryResolver(directory, "mx.here.test"),
        )
        self.records: list[LocatedRecord] = []
        self.failure: Exception | None = None
        self.searches = 0
        self.tracer = Tracer(ports=self.ports, find_records=self._find, held=self._held)

    async def _find(self, _mail_id: str) -> list[LocatedRecord]:
        self.searches += 1
        if self.failure is not None:
            raise self.failure
        return self.records

    async def _held(self) -> list[HeldPartition]:
        return [HELD]

    async def states(self, mail_id: str) -> list[str]:
        return [end.state for end in await self.tracer.ends(mail_id)]


@pytest.fixture
def world() -> World:
    return World()


async def test_a_delivered_mail_is_not_searched_in_the_log(world: World) -> None:
    await world.ports.ledger.add([accepted("m1", "ann", "bob")])
    await store_message(world.ports.store, world.contents, "m1", "ann")
    await store_message(world.ports.store, world.contents, "m1", "bob")
    assert await world.states("m1") == [STORED, STORED]
    assert world.searches == 0


async def test_a_delivery_without_a_state_is_searched_in_the_log(world: World) -> None:
    await world.ports.ledger.add([accepted("m1", "ann", "bob")])
    await store_message(world.ports.store, world.contents, "m1", "ann")
    world.records = [record(committed=True), record()]
    stored, waiting = await world.tracer.ends("m1")
    assert (stored.state, waiting.state) == (STORED, WAITING)
    assert waiting.where.startswith("on mailbox.commands partition 3 offset 7 for user ann")
    assert waiting.where.endswith("; held: mail store, since 1970-01-01T00:00:00.000Z")


async def test_a_consumed_record_is_shown_only_for_a_mail_in_no_store(world: World) -> None:
    world.records = [record(committed=True)]
    assert await world.states("m1") == [PASSED]
    await world.ports.ledger.add([accepted("m1", "ann", "bob")])
    await store_message(world.ports.store, world.contents, "m1", "ann")
    assert await world.states("m1") == [STORED]
    world.records = []
    with pytest.raises(NotFound):
        await world.tracer.ends("m2")


async def test_dead_letters_name_stage_and_cause(world: World) -> None:
    world.records = [record(DEAD_LETTERS, cause="RuntimeError: odd")]
    (parked,) = await world.tracer.ends("m1")
    assert parked.state == PARKED
    assert "dead letter 3-7, parked by mailbox" in parked.where
    assert parked.where.endswith(": RuntimeError: odd")
    world.records = [record(DEAD_LETTERS, cause="RuntimeError: odd", committed=True)]
    assert await world.states("m1") == [PASSED]


async def test_without_a_broker_the_stores_are_shown(world: World) -> None:
    world.failure = BrokerUnavailable("down")
    await world.ports.ledger.add([accepted("m1", "ann", "bob")])
    await store_message(world.ports.store, world.contents, "m1", "ann")
    assert await world.states("m1") == [STORED]
    with pytest.raises(Refused, match="not in a mailbox nor in quarantine, and "):
        await world.tracer.ends("m2")


async def test_quarantine_is_shown_with_who_released(world: World) -> None:
    content = await world.contents.put("q", b"bytes")
    await world.ports.quarantine.put(quarantined("q", content=content))
    (end,) = await world.tracer.ends("q")
    assert (end.state, world.searches) == (QUARANTINED, 0)
    await world.ports.quarantine.release("q", by="olga", at_ms=2_000)
    (end,) = await world.tracer.ends("q")
    assert end.where.endswith("by olga, to be delivered within minutes")


async def test_a_mail_is_found_by_each_kind_of_name(world: World) -> None:
    mail_id = new_id()
    await world.ports.ledger.add([accepted(mail_id, "ann", header="one@there.test")])
    await store_message(world.ports.store, world.contents, mail_id, "ann")
    for name in (mail_id, "<one@there.test>"):
        result = await world.tracer.by_name(name)
        assert [mail.mail_id for mail in result.candidates] == [mail_id]
        assert [end.state for end in result.ends] == [STORED]
    await world.ports.ledger.add([accepted(new_id(), "ann", header="one@there.test")])
    result = await world.tracer.by_name("one@there.test")
    assert (len(result.candidates), result.ends) == (2, [])
    with pytest.raises(NotFound, match="try --recipient"):
        await world.tracer.by_name("two@there.test")


async def test_a_mail_that_the_ledger_has_forgotten_is_found_by_id(world: World) -> None:
    mail_id = new_id()
    await store_message(world.ports.store, world.contents, mail_id, "ann")
    result = await world.tracer.by_name(mail_id)
    assert [(mail.mail_id, mail.states) for mail in result.candidates] == [(mail_id, ())]
    assert [end.state for end in result.ends] == [STORED]


async def test_mail_to_an_address_is_found_about_a_time(world: World) -> None:
    directory = world.directory
    await accounts.add_domain(directory, "here.test")
    await accounts.add_user(directory, "ann@here.test", "correct horse battery staple")
    ann = await accounts.get_user(directory, "ann@here.test")
    await world.ports.ledger.add(
        [accepted("early", ann.user_id, at_ms=1_000), accepted("late", ann.user_id, at_ms=9_000)]
    )
    world.records = [record()]
    span = {"around_ms": 9_000, "within_ms": 10_000}
    result = await world.tracer.by_recipient("Ann@here.test", **span)
    assert [mail.mail_id for mail in result.candidates] == ["late", "early"]
    result = await world.tracer.by_recipient("ann@here.test", around_ms=9_000, within_ms=500)
    assert [mail.states for mail in result.candidates] == [("on its way",)]
    assert [end.state for end in result.ends] == [WAITING]
    for address in ("bob@here.test", "ann@there.test", "no address"):
        with pytest.raises(NotFound):
            await world.tracer.by_recipient(address, **span)
    with pytest.raises(NotFound, match="was accepted about that time"):
        await world.tracer.by_recipient("ann@here.test", around_ms=90_000, within_ms=500)


async def test_subjects_are_returned_only_on_request(world: World) -> None:
    await store_message(world.ports.store, world.contents, "m1", "ann")
    (end,) = await world.tracer.ends("m1")
    assert end.subject is None


def test_names_are_told_apart_by_their_form() -> None:
    assert uuid_version(new_id()) == 7
    assert uuid_version(message_id(new_id(), "ann")) == 5
    assert uuid_version("<a@b.test>") is uuid_version("a@b.test") is None
    with pytest.raises(Refused, match="is no mail id"):
        uuid_version("nonsense")


def test_one_owner_is_found_by_address_and_by_id() -> None:
    ends = [
        DeliveryEnd(state=STORED, where="", user_id=f"u{n}", address=f"u{n}@a.test")
        for n in range(9)
    ]
    assert of_owner(ends, "U7@a.test") == of_owner(ends, "u7") == [ends[7]]
    with pytest.raises(NotFound, match="nobody"):
        of_owner(ends, "nobody@a.test")


async def test_a_deposit_begins_with_its_message(world: World) -> None:
    """No `mail.received` and no ledger entry: edge, owner, verdict and time come from the row."""
    mail_id = new_id()
    hop = Hop(
        stage=APPEND, started_at_ms=77, took_ms=3, verdict="clean", attempt=1, worker="api@here"
    )
    await store_message(world.ports.store, world.contents, mail_id, "ann", hops=(hop,))
    result = await world.tracer.by_name(mail_id)
    assert [(each.accepted_at_ms, each.states) for each in result.candidates] == [(77, (STORED,))]
    (end,) = result.ends
    assert end.where.startswith("put there by user ann as message ")
    assert [(each.stage, each.worker, each.verdict) for each in end.hops] == [
        ("append", "api@here", "clean")
    ]
    assert world.searches == 0


async def test_a_deposit_is_found_by_its_message_id_and_its_owner(world: World) -> None:
    await accounts.add_domain(world.directory, "here.test")
    await accounts.add_user(world.directory, "ann@here.test", "a long password of hers")
    ann = await world.directory.user_by_address("ann@here.test")
    assert ann is not None
    mail_id = new_id()
    await store_message(world.ports.store, world.contents, mail_id, ann.user_id)
    name = message_id(mail_id, ann.user_id)
    for owner in ("Ann@here.test", ann.user_id):
        (end,) = (await world.tracer.by_name(name, owner=owner)).ends
        assert end.state == STORED
    for owner in ("", "bob@here.test", "no id"):
        with pytest.raises(NotFound):
            await world.tracer.by_name(name, owner=owner)


async def test_a_submission_shows_each_recipient_and_its_hops() -> None:
    world, sending = World(), await SendingWorld().prepare()
    mail_id = dated_id(AT_MS, "sent")
    sending.publish(submit(mail_id, "bob@postriver.test", "nobody@postriver.test"))
    await sending.settle()
    row = await sending.row(mail_id)
    await world.ports.submissions.put(msgspec.structs.replace(row, version=1))
    result = await world.tracer.by_name(f"<{mail_id}@postriver.test>")
    assert [end.where.partition(",")[0] for end in result.ends] == [
        "to bob@postriver.test: delivered", "to nobody@postriver.test: failed",
    ]  # fmt: skip
    assert "5.1.1" in result.ends[1].where
    assert world.searches == 0
