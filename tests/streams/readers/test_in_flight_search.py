"""In-flight search while mails move on and the broker fails."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
import pytest
from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from mail.errors import BrokerUnavailable
from schemas.content import Stored
from schemas.events.mailbox_commands import Batch, ExpungeMessages
from schemas.ledger import LogPlace
from streams.codec import encode
from streams.dead_letters.records import all_ids_in, ids_in
from streams.log_client import LogClient
from streams.readers.in_flight_search import LogInFlightMails, ReceivedPlaces
from streams.topology import CUSTODY, GROUP_PREFIX, RECEIVED
from tests.support.event_builders import deliver

WORK_TOPICS = (RECEIVED, "mail.validated", "mail.scanned", "mailbox.commands")
ROLES = dict(zip(WORK_TOPICS, ("intake", "scan", "intake", "mailbox"), strict=True))


@dataclass
class Record:
    partition: int
    offset: int
    key: bytes
    value: bytes


@dataclass
class FakeLog:
    """Topics of one partition. A reader moves the next mail to the next topic, then commits."""

    logs: dict[str, list[str]] = field(default_factory=lambda: {topic: [] for topic in WORK_TOPICS})
    committed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WORK_TOPICS, 0))
    stored: set[str] = field(default_factory=set)
    between: Callable[[], None] = lambda: None  # called before each answer of the broker
    may_fail: Callable[[], None] = lambda: None  # called before each record
    reads: int = 0
    entered: int = 0  # records of mail.received that custody has committed
    ledger: dict[str, LogPlace | None] = field(default_factory=dict)

    def enter(self) -> None:
        """Enter the next record in the ledger, or commit the records that were entered."""
        records = self.logs[RECEIVED]
        if len(self.ledger) > self.entered:
            self.entered += 1
        elif self.entered < len(records):
            place = LogPlace(epoch="e1", partition=0, offset=self.entered)
            self.ledger[records[self.entered]] = place

    def advance(self, topic: str) -> None:
        at = self.committed[topic]
        if at == len(self.logs[topic]):
            return
        mail_id = self.logs[topic][at]
        if topic == WORK_TOPICS[-1]:
            self.stored.add(mail_id)
        else:
            self.logs[WORK_TOPICS[WORK_TOPICS.index(topic) + 1]].append(mail_id)
        self.committed[topic] += 1


class Client(LogClient):
    """LogClient over the lists of a FakeLog instead of a broker."""

    def __init__(self, log: FakeLog) -> None:
        self._log = log

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def partitions(self, topics: list[str]) -> list[TopicPartition]:
        self._log.between()
        return [TopicPartition(topic, 0) for topic in topics if topic in WORK_TOPICS]

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        self._log.between()
        if group == GROUP_PREFIX + CUSTODY:
            return {TopicPartition(RECEIVED, 0): self._log.entered}
        return {
            TopicPartition(topic, 0): at
            for topic, at in self._log.committed.items()
            if GROUP_PREFIX + ROLES[topic] == group
        }

    async def begins(self, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._log.between()
        return dict.fromkeys(parts, 0)

    async def ends(self, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._log.between()
        return {part: len(self._log.logs[part.topic]) for part in parts}

    async def read(self, spans: dict[TopicPartition, tuple[int, int]]) -> AsyncIterator[Any]:
        for part, (first, beyond) in spans.items():
            for offset in range(first, beyond):
                self._log.between()
                self._log.may_fail()
                self._log.reads += 1
                mail_id = self._log.logs[part.topic][offset]
                value = encode(deliver(mail_id, "u1"))
                yield Record(0, offset, mail_id.encode(), value)


def search_of(log: FakeLog, *, with_places: bool = False) -> LogInFlightMails:
    async def read(mail_ids: Iterable[str]) -> dict[str, LogPlace]:
        log.between()
        return {id_: place for id_ in mail_ids if (place := log.ledger.get(id_))}

    places = ReceivedPlaces(read=read, epoch="e1") if with_places else None
    return LogInFlightMails("nowhere", places=places, client=lambda _: Client(log))


async def found_despite_failures(
    search: LogInFlightMails, mail_ids: set[str]
) -> dict[str, frozenset[str]]:
    while True:
        try:
            return await search.waiting(mail_ids)
        except BrokerUnavailable:
            continue


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2**32), st.integers(1, 12), st.floats(0, 0.5), st.booleans())
async def test_a_mail_that_moves_during_the_search_is_found_or_stored(
    seed: int,
    mails: int,
    outages: float,
    with_places: bool,  # noqa: FBT001 - chosen by hypothesis
) -> None:
    log, dice = FakeLog(), random.Random(seed)
    mail_ids = {f"m{number}" for number in range(mails)}
    log.logs[WORK_TOPICS[0]] = sorted(mail_ids)
    for _ in range(dice.randrange(3 * mails)):
        log.advance(dice.choice(WORK_TOPICS))
    for _ in range(dice.randrange(3 * mails)):
        log.enter()

    def between() -> None:
        for _ in range(dice.randrange(4)):
            log.advance(dice.choice(WORK_TOPICS))
            if dice.random() < 0.5:
                log.enter()

    def may_fail() -> None:
        if dice.random() < outages:
            raise BrokerUnavailable("odd")

    log.between, log.may_fail = between, may_fail
    search = search_of(log, with_places=with_places)
    for _ in range(2):
        stored = frozenset(log.stored)
        found = await found_despite_failures(search, mail_ids)
        assert mail_ids - log.stored <= found.keys()
        assert not stored & found.keys(), "stored before the search began"


async def test_an_interrupted_search_reads_no_record_twice() -> None:
    log = FakeLog()
    log.logs["mail.validated"] = [f"m{number}" for number in range(100)]
    answers = 0

    def may_fail() -> None:
        nonlocal answers
        answers += 1
        if answers % 10 == 0:
            raise BrokerUnavailable("odd")

    log.may_fail = may_fail
    search = search_of(log)
    found = await found_despite_failures(search, {"m3", "m97", "elsewhere"})
    assert found.keys() == {"m3", "m97"}
    assert log.reads == 100
    log.may_fail = lambda: None
    log.logs["mail.validated"].append("m100")
    log.committed["mail.validated"] = 50
    assert (await search.waiting({"m3", "m97", "m100"})).keys() == {"m97", "m100"}
    assert log.reads == 101, "the next search reads the new record only"


async def test_mails_in_the_ledger_are_located_without_a_record_being_read() -> None:
    log = FakeLog()
    log.logs[RECEIVED] = [f"m{number}" for number in range(100)]
    for _ in range(180):
        log.enter()
    assert log.entered == 90
    log.committed[RECEIVED] = 40
    log.logs["mail.validated"] = ["m39"]
    search = search_of(log, with_places=True)
    sought = [f"m{number}" for number in range(40, 90)]
    assert (await search.waiting(sought)).keys() == set(sought)
    assert log.reads == 10, "the records that custody has not entered yet"
    assert (await search.waiting(["m39", "m40"])).keys() == {"m39", "m40"}
    assert log.reads == 11
    assert (await search.waiting(["m39", "m95", "orphan"])).keys() == {"m39", "m95"}
    assert log.reads == 11 + 60, "a mail that the ledger does not know may be anywhere"


async def test_a_place_of_another_epoch_or_behind_the_end_is_no_place() -> None:
    log = FakeLog()
    log.logs[RECEIVED] = ["m0", "m1"]
    log.ledger = {"m1": LogPlace(epoch="e0", partition=0, offset=0)}
    log.entered, log.committed[RECEIVED] = 2, 0
    search = search_of(log, with_places=True)
    assert (await search.waiting(["m1"])).keys() == {"m1"}
    for epoch, partition, offset in (("e0", 0, 1), ("e1", 0, 9), ("e1", 0, 2), ("e1", 7, 0)):
        log.ledger = {"m9": LogPlace(epoch=epoch, partition=partition, offset=offset)}
        assert await search.waiting(["m9"]) == {}, "it is nowhere in this log"
    log.committed[RECEIVED] = 1
    log.ledger = {"m0": LogPlace(epoch="e1", partition=0, offset=0)}
    assert await search.waiting(["m0"]) == {}, "its reader has passed it"


async def test_a_search_beyond_its_time_limit_says_so_and_finds_nothing() -> None:
    """An answer of half the log would report the mails of the other half as missing."""

    class Silent(Client):
        async def read(self, spans: dict[TopicPartition, tuple[int, int]]) -> AsyncIterator[Any]:
            await asyncio.Event().wait()
            yield spans

    log = FakeLog()
    log.logs["mail.validated"] = ["m1"]
    search = LogInFlightMails("nowhere", limit_s=0.01, client=lambda _: Silent(log))
    with pytest.raises(BrokerUnavailable, match="not searched to its end"):
        await search.waiting({"m1"})


@pytest.mark.parametrize("left", [0, 40])
async def test_a_log_that_became_shorter_is_read_from_its_beginning(left: int) -> None:
    log = FakeLog()
    log.logs["mail.received"] = [f"m{number}" for number in range(100)]

    def away() -> None:
        if log.reads == 50:
            raise BrokerUnavailable("odd")

    log.between = away
    search = search_of(log)
    with pytest.raises(BrokerUnavailable):
        await search.waiting({"m3"})
    log.between = lambda: None
    log.logs["mail.received"] = [f"n{number}" for number in range(left)]
    assert (await search.waiting({"m3", "n3"})).keys() == ({"n3"} if left else set())
    assert log.reads == 50 + left


async def test_a_commit_that_goes_back_makes_its_records_unconsumed_again() -> None:
    """An operator sets a group back: what it reads again is in flight, and not missing."""
    log = FakeLog()
    log.logs["mail.validated"] = [f"m{number}" for number in range(100)]
    log.committed["mail.validated"] = 50
    search = search_of(log)
    assert (await search.waiting({"m20", "m70"})).keys() == {"m70"}
    log.committed["mail.validated"] = 10
    assert (await search.waiting({"m5", "m20", "m70"})).keys() == {"m20", "m70"}


def test_a_batch_names_every_mail_that_it_delivers() -> None:
    content = Stored("m1", 5, "0" * 64)
    first = msgspec.structs.replace(deliver("m1", "ann"), content=content)
    common = {"user_id": "ann", "domain_id": "d", "at_ms": 1}
    expunge = ExpungeMessages(command_id="c", message_ids=("x",), **common)
    batch = Batch(command_id="b", parts=(expunge, first, deliver("m2", "ann")), **common)
    value = encode(batch)
    assert [ids[:2] for ids in all_ids_in(value)] == [("m1", "ann"), ("m2", "ann")]
    assert ids_in(value) == ("m1", "ann", "m1"), "custody holds it while the batch is parked"
    other = encode(Batch(command_id="b", parts=(expunge,), **common))
    assert ids_in(other)[0] == ""
    assert all_ids_in(b"\xc1") == []
