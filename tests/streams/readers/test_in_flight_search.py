"""In-flight search while mails move on and the broker fails."""

import random
from collections.abc import AsyncIterator, Callable
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
from streams.codec import encode
from streams.dead_letters.records import all_ids_in, ids_in
from streams.log_client import LogClient
from streams.readers.in_flight_search import LogInFlightMails
from streams.topology import GROUP_PREFIX
from tests.support.event_builders import deliver

WORK_TOPICS = ("mail.received", "mail.validated", "mail.scanned", "mailbox.commands")
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
    reads: int = 0

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
                self._log.reads += 1
                mail_id = self._log.logs[part.topic][offset]
                value = encode(deliver(mail_id, "u1"))
                yield Record(0, offset, mail_id.encode(), value)


def search_of(log: FakeLog) -> LogInFlightMails:
    return LogInFlightMails("nowhere", client=lambda _: Client(log))


async def found_despite_failures(
    search: LogInFlightMails, mail_ids: set[str]
) -> dict[str, frozenset[str]]:
    while True:
        try:
            return await search.waiting(mail_ids)
        except BrokerUnavailable:
            continue


@settings(deadline=None, max_examples=300)
@given(st.randoms(use_true_random=False), st.integers(1, 12), st.floats(0, 0.5))
async def test_a_mail_that_moves_during_the_search_is_found_or_stored(
    dice: random.Random, mails: int, outages: float
) -> None:
    log = FakeLog()
    mail_ids = {f"m{number}" for number in range(mails)}
    log.logs[WORK_TOPICS[0]] = sorted(mail_ids)
    for _ in range(dice.randrange(3 * mails)):
        log.advance(dice.choice(WORK_TOPICS))

    def between() -> None:
        for _ in range(dice.randrange(4)):
            log.advance(dice.choice(WORK_TOPICS))
        if dice.random() < outages:
            raise BrokerUnavailable("odd")

    log.between = between
    found = await found_despite_failures(search_of(log), mail_ids)
    assert mail_ids - log.stored <= found.keys()


async def test_an_interrupted_search_reads_no_record_twice() -> None:
    log = FakeLog()
    log.logs["mail.validated"] = [f"m{number}" for number in range(100)]
    answers = 0

    def between() -> None:
        nonlocal answers
        answers += 1
        if answers % 10 == 0:
            raise BrokerUnavailable("odd")

    log.between = between
    search = search_of(log)
    found = await found_despite_failures(search, {"m3", "m97", "elsewhere"})
    assert found.keys() == {"m3", "m97"}
    assert log.reads == 100
    log.between = lambda: None
    assert (await search.waiting({"m3"})).keys() == {"m3"}
    assert log.reads == 200, "a search that has ended is not gone on with"


@pytest.mark.parametrize("left", [0, 40])
async def test_a_log_trimmed_during_the_search_ends_it(left: int) -> None:
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
    del log.logs["mail.received"][left:]
    assert (await search.waiting({"m3"})).keys() == {"m3"}
    assert log.reads == 50


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
