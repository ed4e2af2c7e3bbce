"""Ledger feed and in-flight search on a real broker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition

from mail.errors import BrokerUnavailable
from mail.ids import new_id
from operations.dead_letters import discard, redrive
from schemas.dead_letters import DeadLetter
from schemas.ledger import DISCARDED, EVERYONE, PARKED, REDRIVEN
from streams.codec import encode
from streams.config import Bootstrap, PublisherConfig, TopicsConfig
from streams.dead_letters.parking import park
from streams.log_client import LogClient
from streams.publisher import KafkaPublisher
from streams.readers.in_flight_search import LogDeadLetters, LogInFlightMails
from streams.readers.ledger_feed import LedgerFeed, LedgerFeedConfig
from streams.readers.mail_finder import find_in_flight
from streams.topics.admin import make_topics
from tests.support.event_builders import deliver, received, validated
from tests.support.log import commit, fresh
from tests.support.waiting import until

pytestmark = pytest.mark.kafka


@pytest.fixture
async def publisher(broker) -> AsyncIterator[KafkaPublisher]:
    """A publisher to the topics of the table."""
    await make_topics(TopicsConfig(bootstrap=broker.bootstrap, partitions=3))
    made = KafkaPublisher(PublisherConfig(bootstrap=broker.bootstrap, linger_ms=0))
    await made.start()
    yield made
    await made.stop()


class FakeLedger:
    """Keeps the batches of a feed; the next `fails` calls raise."""

    def __init__(self) -> None:
        self.mails, self.letters = [], []
        self.fails = 0

    async def take(self, mails, letters) -> None:
        if self.fails:
            self.fails -= 1
            raise BrokerUnavailable("odd")
        self.mails += mails
        self.letters += letters

    def has(self, *mail_ids: str) -> bool:
        return {mail.mail_id for mail in self.mails} >= set(mail_ids)


@asynccontextmanager
async def feeding(
    bootstrap: Bootstrap, ledger: FakeLedger, group: str
) -> AsyncIterator[LedgerFeed]:
    config = LedgerFeedConfig(group=group, received_epoch="1:t", gather_ms=100, retry_s=0.1)
    feed = LedgerFeed(bootstrap, ledger.take, config)
    await feed.start()
    try:
        yield feed
    finally:
        await feed.stop()


def a_letter(mail_id: str, event, topic: str, stage: str) -> DeadLetter:
    return DeadLetter(
        topic=topic,
        partition=0,
        offset=1,
        stage=stage,
        cause="RuntimeError: odd",
        attempt=5,
        at_ms=1,
        key=mail_id.encode(),
        value=encode(event),
    )


async def test_no_mail_is_missed_across_failures_and_restarts(broker, publisher):
    ledger, group, ids = FakeLedger(), fresh("feed"), [new_id() for _ in range(30)]
    await publisher.publish(*map(received, ids[:20]))
    await publisher.publish_raw("mail.received", b"k", b"no event", [])
    ledger.fails = 1
    async with feeding(broker.bootstrap, ledger, group) as feed:
        await until(lambda: ledger.has(*ids[:20]))
        await until(lambda: feed.status.ready and feed.status.lag == 0)
        assert feed.status.unreadable >= 1
        assert feed.status.skipped == 0
    assert not feed.status.ready
    (first,) = [one for one in ledger.mails if one.mail_id == ids[0]][:1]
    assert (first.user_ids, first.accepted_at_ms) == (("u1",), 1)
    found = await find_in_flight(broker.bootstrap, ids[0])
    assert [(first.place.partition, first.place.offset)] == [
        (record.partition, record.offset) for record in found
    ]
    assert first.place.epoch == "1:t"
    told = len(ledger.mails)
    await publisher.publish(*map(received, ids[20:]))
    async with feeding(broker.bootstrap, ledger, group):
        await until(lambda: ledger.has(*ids))
    assert len(ledger.mails) == told + 10, "what was committed is not told again"


async def test_records_deleted_before_they_were_read_are_counted(broker, publisher):
    ledger, group, part = FakeLedger(), fresh("feed"), TopicPartition("mail.received", 0)

    async def publish() -> str:
        mail_id = new_id()
        value = encode(received(mail_id))
        await publisher.publish_raw(
            part.topic, mail_id.encode(), value, [], partition=part.partition
        )
        return mail_id

    first = await publish()
    async with feeding(broker.bootstrap, ledger, group):
        await until(lambda: ledger.has(first))
    await publish()
    last = await publish()
    async with LogClient(broker.bootstrap) as log:
        await log.delete_before({part: (await log.ends([part]))[part] - 1})
    async with feeding(broker.bootstrap, ledger, group) as feed:
        await until(lambda: ledger.has(last))
        assert feed.status.skipped == 1


async def test_dead_letters_come_with_their_marks(broker, publisher):
    ledger, one, other = FakeLedger(), new_id(), new_id()
    await park(publisher, a_letter(one, received(one), "mail.received", "validate"))
    await park(publisher, a_letter("u7", deliver(other, "u7"), "mailbox.commands", "mailbox"))
    async with feeding(broker.bootstrap, ledger, fresh("feed")):
        await until(lambda: {one, other} <= {each.mail_id for each in ledger.letters})
        mine = {each.mail_id: each for each in ledger.letters}
        assert (mine[one].user_id, mine[one].state, mine[one].ref) == (EVERYONE, PARKED, "")
        assert (mine[other].user_id, mine[other].ref) == ("u7", "r")
        await redrive(broker.bootstrap, [mine[one].letter_id])
        await discard(broker.bootstrap, [mine[other].letter_id], "no use")
        done = {(mine[one].letter_id, REDRIVEN), (mine[other].letter_id, DISCARDED)}
        await until(lambda: done <= {(each.letter_id, each.state) for each in ledger.letters})
    told = {each.mail_id: each.state for each in await LogDeadLetters(broker.bootstrap).since(0)}
    assert (told[one], told[other]) == (REDRIVEN, DISCARDED)


async def test_a_record_waits_until_its_reader_has_passed_it(broker, publisher):
    prefix, ids = fresh("prefix"), [new_id() for _ in range(4)]
    search = LogInFlightMails(broker.bootstrap, group_prefix=prefix)
    await publisher.publish(received(ids[0]), validated(ids[1]))
    await publisher.publish(deliver(ids[2], "u1"), deliver(ids[2], "u2"))
    await park(publisher, a_letter(ids[3], validated(ids[3]), "mail.validated", "scan"))
    everyone = frozenset({EVERYONE})
    there = {ids[0]: everyone, ids[1]: everyone, ids[2]: frozenset({"u1", "u2"}), ids[3]: everyone}
    assert await search.waiting([*ids, new_id()]) == there
    async with LogClient(broker.bootstrap) as log:
        topics = {
            "mail.received": "intake",
            "mailbox.commands": "mailbox",
            "dead.letters": "custody",
        }
        ends = await log.ends(await log.partitions(topics))
    for topic, role in topics.items():
        at = {tuple(part): end for part, end in ends.items() if part.topic == topic}
        await commit(broker.bootstrap, prefix + role, at)
    assert await search.waiting(ids) == {ids[1]: everyone}


async def test_a_search_beyond_its_time_limit_raises(broker):
    with pytest.raises(BrokerUnavailable, match="to its end"):
        await LogInFlightMails(broker.bootstrap, limit_s=0).waiting(["m"])
    with pytest.raises(BrokerUnavailable):
        await LogDeadLetters(Bootstrap("127.0.0.1:1")).since(0)
