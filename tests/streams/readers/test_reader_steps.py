"""Event tail and ledger feed, step by step on a log in memory: nothing is lost, repeated or leaked.

test_event_tail.py and test_ledger_feed.py have both on a broker; here a history costs milliseconds.
"""

import random
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

from mail.errors import StoreUnavailable
from schemas.ledger import LogPlace
from streams.codec import encode
from streams.readers.event_tail import MAILBOX_EVENTS, EventTail, EventTailConfig, _TopicChanged
from streams.readers.ledger_feed import LedgerFeed, LedgerFeedConfig
from streams.topology import DEAD_LETTERS, RECEIVED
from tests.support.event_builders import answered, received

NOWHERE: Any = None


@dataclass
class Log:
    """A topic in memory: the consumer and the client of a session that reads it."""

    topic: str
    records: list[list[Any]] = field(default_factory=lambda: [[], []])  # by partition
    begins: list[int] = field(default_factory=lambda: [0, 0])
    topic_id: uuid.UUID = field(default_factory=uuid.uuid4)
    polls: int = 0  # until the connection breaks
    at: dict[TopicPartition, int] = field(default_factory=dict)
    commits: dict[TopicPartition, int] = field(default_factory=dict)

    def part(self, number: int) -> TopicPartition:
        return TopicPartition(self.topic, number)

    def assignment(self) -> list[TopicPartition]:
        return list(map(self.part, range(len(self.records))))

    def append(self, number: int, key: str, value: bytes) -> int:
        offset = self.begins[number] + len(self.records[number])
        record = SimpleNamespace(
            topic=self.topic, partition=number, offset=offset, key=key.encode(), value=value,
            headers=[], timestamp=1,
        )  # fmt: skip
        self.records[number].append(record)
        return offset

    def trim(self, number: int, count: int) -> None:
        del self.records[number][:count]
        self.begins[number] += count

    def recreate(self, partitions: int) -> None:
        self.topic_id = uuid.uuid4()
        self.records = [[] for _ in range(partitions)]
        self.begins = [0] * partitions

    # The client:
    def get_random_node(self) -> int:
        return 0

    async def send(self, _node: int, _request: object) -> Any:
        topic = (0, self.topic, self.topic_id, False, self.records)
        return SimpleNamespace(topics=[topic])

    # The consumer:
    async def beginning_offsets(self, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {part: self.begins[part.partition] for part in parts}

    async def end_offsets(self, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {part: self.end(part) for part in parts}

    def end(self, part: TopicPartition) -> int:
        return self.begins[part.partition] + len(self.records[part.partition])

    def assign(self, parts: list[TopicPartition]) -> None:
        self.at = dict.fromkeys(parts, -1)

    def seek(self, part: TopicPartition, offset: int) -> None:
        assert part in self.at, "it is assigned"
        assert self.begins[part.partition] <= offset <= self.end(part)
        self.at[part] = offset

    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Any]]:
        assert timeout_ms > 0
        self.polls -= 1
        if self.polls < 0:
            raise KafkaConnectionError
        batch = {}
        for part, offset in self.at.items():
            first = max(0, offset - self.begins[part.partition])
            if found := self.records[part.partition][first : first + max_records]:
                batch[part] = found
                self.at[part] = found[-1].offset + 1
        return batch

    async def committed(self, part: TopicPartition) -> int | None:
        return self.commits.get(part)

    async def commit(self, positions: dict[TopicPartition, int]) -> None:
        self.commits |= positions

    async def position(self, part: TopicPartition) -> int:
        return self.at[part]

    def highwater(self, part: TopicPartition) -> int | None:
        return self.end(part)


async def session(tail: EventTail, log: Log, polls: int) -> None:
    """One session of the tail, until its connection breaks or the topic has changed."""
    log.polls = polls
    try:
        await tail._seek(log, log)
        await tail._follow(log, log)
    except (KafkaConnectionError, _TopicChanged):
        pass


USERS = ("ann", "bob", "nobody")
EVENTS = st.tuples(st.just("event"), st.integers(0, 1), st.sampled_from(USERS))
SESSIONS = st.tuples(st.just("session"), st.integers(1, 3), st.just(""))
BREAKS = st.tuples(st.sampled_from(["recreate", "trim"]), st.integers(0, 1), st.just(""))


@settings(max_examples=150, deadline=None)
@given(acts=st.lists(EVENTS | EVENTS | SESSIONS | BREAKS, max_size=40))
async def test_a_tail_gives_every_event_of_its_users_in_order(acts) -> None:
    """At least once; exactly once while the topic is the same and nothing was cut off."""
    log = Log(MAILBOX_EVENTS)
    config = EventTailConfig(check_interval_s=0.001, batch_records=2)
    tail = EventTail(NOWHERE, config)
    log.append(0, "ann", encode(answered("ann", "before the tail")))
    await session(tail, log, 0)
    got: dict[str, list[str]] = defaultdict(list)
    for user in ("ann", "bob"):
        tail.subscribe(user, lambda event, user=user: got[user].append(event.command_id))
    there: dict[tuple[int, str], list[str]] = defaultdict(list)  # that the tail must have passed on
    gone, is_whole = set[str](), True
    for number, (act, value, user) in enumerate(acts):
        part = value % len(log.records)
        if act == "event":
            log.append(part, user, encode(answered(user, str(number))))
            there[part, user].append(str(number))
        elif act == "session":
            await session(tail, log, value * 30)
        else:
            is_whole = False
            lost = log.records if act == "recreate" else [log.records[part][:1]]
            read = {id_ for ids in got.values() for id_ in ids}
            gone |= {decode_id(one) for records in lost for one in records} - read
            if act == "recreate":
                log.recreate(2)
            else:
                log.trim(part, 1) if log.records[part] else None
    await session(tail, log, 200)
    await session(tail, log, 200)
    assert got["nobody"] == []
    for (_, user), ids in there.items():
        expected = [id_ for id_ in ids if id_ not in gone and user != "nobody"]
        firsts = [id_ for id_ in dict.fromkeys(got[user]) if id_ in ids]
        assert [id_ for id_ in firsts if id_ in expected] == expected
        if is_whole:
            assert [id_ for id_ in got[user] if id_ in ids] == expected
    assert "before the tail" not in got["ann"] or not is_whole


def decode_id(record: Any) -> str:
    from streams.codec import decode

    return decode(MAILBOX_EVENTS, record.offset, record.value).command_id


async def test_an_event_with_the_key_of_another_user_is_shown_to_neither() -> None:
    log, got = Log(MAILBOX_EVENTS), []
    tail = EventTail(NOWHERE, EventTailConfig(check_interval_s=0.001))
    await session(tail, log, 0)
    for user in ("ann", "bob"):
        tail.subscribe(user, got.append)
    log.append(0, "ann", encode(answered("bob", "c1")))
    log.append(0, "ann", b"no event")
    log.append(0, "ann", encode(answered("ann", "c2")))
    await session(tail, log, 20)
    assert [event.command_id for event in got] == ["c2"]


async def test_a_sink_that_fails_is_unsubscribed_and_disturbs_no_other() -> None:
    log, got = Log(MAILBOX_EVENTS), []
    calls = 0

    def fail(_event: object) -> None:
        nonlocal calls
        calls += 1
        raise RuntimeError

    tail = EventTail(NOWHERE, EventTailConfig(check_interval_s=0.001))
    await session(tail, log, 0)
    tail.subscribe("ann", fail)
    end = tail.subscribe("ann", got.append)
    for number in range(2):
        log.append(1, "ann", encode(answered("ann", str(number))))
    await session(tail, log, 20)
    assert (calls, [event.command_id for event in got]) == (1, ["0", "1"])
    end()
    end()
    log.append(1, "ann", encode(answered("ann", "2")))
    await session(tail, log, 20)
    assert len(got) == 2
    assert tail._sinks == {}, "a user without subscribers costs no decoding"


async def test_a_topic_with_more_partitions_is_read_whole() -> None:
    log, got = Log(MAILBOX_EVENTS), []
    tail = EventTail(NOWHERE, EventTailConfig(check_interval_s=0.001))
    await session(tail, log, 0)
    tail.subscribe("ann", got.append)
    log.records.append([])
    log.begins.append(0)
    log.append(2, "ann", encode(answered("ann", "new partition")))
    log.append(0, "ann", encode(answered("ann", "old partition")))
    await session(tail, log, 20)
    await session(tail, log, 20)
    assert sorted(event.command_id for event in got) == ["new partition", "old partition"]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
async def test_a_feed_takes_every_record_and_commits_what_was_taken(seed: int) -> None:
    """Over failures of the ledger, and restarts at the last commit."""
    dice, log = random.Random(seed), Log(RECEIVED)
    taken: list[Any] = []
    failing = False

    async def take(mails: Any, letters: Any) -> None:
        assert not letters
        if failing:
            raise StoreUnavailable("odd")
        taken.extend(mails)

    config = LedgerFeedConfig(batch_records=2, received_epoch="1:t")
    feed = LedgerFeed(NOWHERE, take, config)
    sent: dict[str, tuple[int, int]] = {}
    cut = unreadable = 0
    log.at = dict.fromkeys(log.assignment(), 0)
    for number in range(dice.randrange(30)):
        part = dice.randrange(2)
        mail_id = f"m{number}"
        if dice.random() < 0.1:
            log.append(part, mail_id, b"no event")
            unreadable += 1
        else:
            sent[mail_id] = part, log.append(part, mail_id, encode(received(mail_id)))
        if dice.random() < 0.5:
            failing = dice.random() < 0.3
            log.polls = 1
            before = dict(log.commits)
            if not failing:
                await feed._read_batch(log)
                continue
            with_records = any(log.end(one) > at for one, at in log.at.items())
            if with_records:
                with pytest.raises(StoreUnavailable):
                    await feed._read_batch(log)
            assert log.commits == before
            await feed.on_partitions_assigned([])
            log.at = {one: log.commits.get(one, 0) for one in log.assignment()}
    failing = False
    for _ in range(40):
        log.polls = 1
        await feed._read_batch(log)
    assert [mail.mail_id for mail in taken] == list(dict.fromkeys(m.mail_id for m in taken))
    places = {mail.mail_id: mail.place for mail in taken}
    assert places == {
        id_: LogPlace(epoch="1:t", partition=part, offset=at) for id_, (part, at) in sent.items()
    }
    assert feed.status.lag == 0
    assert feed.status.skipped == cut
    assert feed.status.unreadable >= unreadable
    assert log.commits == {one: log.end(one) for one in log.assignment() if log.end(one)}


@pytest.mark.parametrize("is_new_session", [False, True])
async def test_a_feed_counts_the_records_that_left_before_it(*, is_new_session: bool) -> None:
    log, mails = Log(RECEIVED), []

    async def take(new: Any, _letters: Any) -> None:
        mails.extend(mail.mail_id for mail in new)

    feed = LedgerFeed(NOWHERE, take)
    log.at = dict.fromkeys(log.assignment(), 0)
    for number in range(5):
        log.append(1, f"m{number}", encode(received(f"m{number}")))
        if number == 0:
            log.polls = 1
            await feed._read_batch(log)
    assert (mails, feed.status.skipped, feed.status.lag) == (["m0"], 0, 0)
    if is_new_session:
        await feed.on_partitions_revoked([])
    log.trim(1, 3)
    log.polls = 1
    await feed._read_batch(log)
    assert (mails, feed.status.skipped) == (["m0", "m3", "m4"], 2)


async def test_the_first_record_that_a_new_group_reads_is_no_gap() -> None:
    log = Log(DEAD_LETTERS)
    log.begins = [7, 7]
    log.append(0, "m", b"no letter of a mail")

    async def take(mails: Any, letters: Any) -> None:
        assert (mails, letters) == ([], [])

    feed = LedgerFeed(NOWHERE, take)
    log.at, log.polls = dict.fromkeys(log.assignment(), 7), 1
    await feed._read_batch(log)
    assert (feed.status.skipped, log.commits) == (0, {log.part(0): 8})
