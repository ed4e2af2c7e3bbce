"""The search of the log over a river that flows meanwhile and a broker that goes away."""

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from mail.errors import BrokerUnavailable
from streams.codec import encode
from streams.log_client import LogClient
from streams.readers.in_flight_search import LogInFlightMails
from streams.topology import GROUP_PREFIX
from tests.support.event_builders import deliver

RIVER = ("mail.received", "mail.validated", "mail.scanned", "mailbox.commands")
ROLES = dict(zip(RIVER, ("intake", "scan", "intake", "mailbox"), strict=True))


@dataclass
class Record:
    partition: int
    offset: int
    key: bytes
    value: bytes


@dataclass
class River:
    """One partition a topic; each reader moves the next mail one topic down, then commits."""

    logs: dict[str, list[str]] = field(default_factory=lambda: {topic: [] for topic in RIVER})
    committed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RIVER, 0))
    stored: set[str] = field(default_factory=set)
    between: Callable[[], None] = lambda: None  # what happens between two answers of the broker
    reads: int = 0

    def advance(self, topic: str) -> None:
        at = self.committed[topic]
        if at == len(self.logs[topic]):
            return
        mail_id = self.logs[topic][at]
        if topic == RIVER[-1]:
            self.stored.add(mail_id)
        else:
            self.logs[RIVER[RIVER.index(topic) + 1]].append(mail_id)
        self.committed[topic] += 1


class Client(LogClient):
    """LogClient over the lists of a River instead of a broker."""

    def __init__(self, river: River) -> None:
        self._river = river

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def partitions(self, topics: list[str]) -> list[TopicPartition]:
        self._river.between()
        return [TopicPartition(topic, 0) for topic in topics if topic in RIVER]

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        self._river.between()
        return {
            TopicPartition(topic, 0): at
            for topic, at in self._river.committed.items()
            if GROUP_PREFIX + ROLES[topic] == group
        }

    async def begins(self, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._river.between()
        return dict.fromkeys(parts, 0)

    async def ends(self, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._river.between()
        return {part: len(self._river.logs[part.topic]) for part in parts}

    async def read(self, spans: dict[TopicPartition, tuple[int, int]]) -> AsyncIterator[Any]:
        for part, (first, beyond) in spans.items():
            for offset in range(first, beyond):
                self._river.between()
                self._river.reads += 1
                mail_id = self._river.logs[part.topic][offset]
                value = encode(deliver(mail_id, "u1"))
                yield Record(0, offset, mail_id.encode(), value)


def search_of(river: River) -> LogInFlightMails:
    return LogInFlightMails("nowhere", client=lambda _: Client(river))


async def found_after_all(
    search: LogInFlightMails, mail_ids: set[str]
) -> dict[str, frozenset[str]]:
    while True:
        try:
            return await search.waiting(mail_ids)
        except BrokerUnavailable:
            continue


@settings(deadline=None, max_examples=300)
@given(st.randoms(use_true_random=False), st.integers(1, 12), st.floats(0, 0.5))
async def test_what_moves_meanwhile_is_seen_or_stored(
    dice: random.Random, mails: int, outages: float
) -> None:
    river = River()
    mail_ids = {f"m{number}" for number in range(mails)}
    river.logs[RIVER[0]] = sorted(mail_ids)
    for _ in range(dice.randrange(3 * mails)):
        river.advance(dice.choice(RIVER))

    def between() -> None:
        for _ in range(dice.randrange(4)):
            river.advance(dice.choice(RIVER))
        if dice.random() < outages:
            raise BrokerUnavailable("odd")

    river.between = between
    found = await found_after_all(search_of(river), mail_ids)
    assert mail_ids - river.stored <= found.keys()


async def test_a_search_that_was_cut_short_reads_nothing_twice() -> None:
    river = River()
    river.logs["mail.validated"] = [f"m{number}" for number in range(100)]
    answers = 0

    def between() -> None:
        nonlocal answers
        answers += 1
        if answers % 10 == 0:
            raise BrokerUnavailable("odd")

    river.between = between
    search = search_of(river)
    found = await found_after_all(search, {"m3", "m97", "elsewhere"})
    assert found.keys() == {"m3", "m97"}
    assert river.reads == 100
    river.between = lambda: None
    assert (await search.waiting({"m3"})).keys() == {"m3"}
    assert river.reads == 200, "a search that has ended is not gone on with"


@pytest.mark.parametrize("left", [0, 40])
async def test_a_log_that_was_emptied_meanwhile_ends_the_search(left: int) -> None:
    river = River()
    river.logs["mail.received"] = [f"m{number}" for number in range(100)]

    def away() -> None:
        if river.reads == 50:
            raise BrokerUnavailable("odd")

    river.between = away
    search = search_of(river)
    with pytest.raises(BrokerUnavailable):
        await search.waiting({"m3"})
    river.between = lambda: None
    del river.logs["mail.received"][left:]
    assert (await search.waiting({"m3"})).keys() == {"m3"}
    assert river.reads == 50
