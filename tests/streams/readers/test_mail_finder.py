import uuid

import pytest

from mail.clock import now_ms
from mail.errors import BrokerUnavailable, Refused
from mail.ids import new_id
from operations.dead_letters import redrive
from schemas.dead_letters import DeadLetter
from schemas.ledger import LogPlace
from streams.codec import encode
from streams.config import Bootstrap, PublisherConfig
from streams.dead_letters.parking import park
from streams.log_client import LogClient
from streams.publisher import KafkaPublisher
from streams.readers.in_flight_search import ReceivedPlaces
from streams.readers.mail_finder import READER, MailFinderConfig, find_in_flight
from streams.topology import DEAD_LETTERS
from tests.support.event_builders import deliver, received, validated
from tests.support.log import commit, fresh, make

TOPICS = (*READER, DEAD_LETTERS)


@pytest.fixture
async def publisher(broker, admin):
    await make(admin, *TOPICS)
    made = KafkaPublisher(PublisherConfig(bootstrap=broker.bootstrap, linger_ms=0))
    await made.start()
    yield made
    await made.stop()


def id_of_time(at_ms: int) -> str:
    """Return a UUIDv7 of another time than now."""
    return str(uuid.UUID(int=(at_ms << 80) | (uuid.UUID(new_id()).int & ((1 << 80) - 1))))


def mine(**settings) -> MailFinderConfig:
    """Return settings with consumer groups that no other test uses."""
    return MailFinderConfig(group_prefix=fresh("seek-"), **settings)


def parked(event, topic: str, stage: str) -> DeadLetter:
    return DeadLetter(
        topic=topic,
        partition=0,
        offset=0,
        stage=stage,
        cause="RuntimeError: odd",
        attempt=5,
        at_ms=now_ms(),
        key=b"u1" if topic == "mailbox.commands" else event.mail_id.encode(),
        value=encode(event),
    )


@pytest.mark.kafka
async def test_unconsumed_records_come_before_consumed_records(broker, publisher):
    mail_id, config = new_id(), mine()
    for other in (new_id(), new_id()):
        await publisher.publish(received(other), validated(other))
    await publisher.publish(received(mail_id))
    await publisher.publish(validated(mail_id))
    first = await find_in_flight(broker.bootstrap, mail_id, config)
    assert [(one.topic, one.stage, one.committed) for one in first] == [
        ("mail.validated", "scan", False),
        ("mail.received", "validate", False),
    ]
    assert first[0].event == validated(mail_id)
    place = (first[1].topic, first[1].partition)
    group = config.group_prefix + "intake"
    await commit(broker.bootstrap, group, {place: first[1].offset})
    assert await find_in_flight(broker.bootstrap, mail_id, config) == first, "next, not passed"
    await commit(broker.bootstrap, group, {place: first[1].offset + 1})
    await publisher.publish(deliver(mail_id, "u1"), deliver(mail_id, "u2"))
    then = await find_in_flight(broker.bootstrap, mail_id, config)
    assert [(one.topic, one.committed) for one in then] == [
        ("mailbox.commands", False),
        ("mailbox.commands", False),
        ("mail.validated", False),
        ("mail.received", True),
    ]


@pytest.mark.kafka
async def test_a_mail_whose_place_is_known_is_read_there_and_no_further(broker, publisher, caplog):
    mail_id, config = new_id(), mine(limit_records=1)
    (everything,) = await place_of(broker, publisher, mail_id)
    at = LogPlace(epoch="e1", partition=everything.partition, offset=everything.offset)
    await publisher.publish(*(received(new_id()) for _ in range(30)))
    async with LogClient(broker.bootstrap) as log:
        ends = await log.ends(await log.partitions(["mail.received"]))
    custody = {tuple(part): end for part, end in ends.items()}
    await commit(broker.bootstrap, config.group_prefix + "custody", custody)

    async def find(epoch: str = "e1"):
        async def read(_ids):
            return {mail_id: at}

        places = ReceivedPlaces(read=read, epoch=epoch)
        return await find_in_flight(broker.bootstrap, mail_id, config, places=places)

    assert await find() == [everything]
    assert "stopped at its limit" not in caplog.text
    await find(epoch="e2")
    assert "stopped at its limit" in caplog.text, "its place was in another log"
    group = config.group_prefix + "intake"
    place = (everything.topic, everything.partition)
    await commit(broker.bootstrap, group, {place: everything.offset + 1})
    config = mine()
    await commit(broker.bootstrap, config.group_prefix + "custody", custody)
    await commit(broker.bootstrap, config.group_prefix + "intake", custody)
    await publisher.publish(validated(mail_id))
    assert [(one.topic, one.committed) for one in await find()] == [
        ("mail.validated", False),
        ("mail.received", True),
    ]
    await publisher.publish(received(mail_id))
    again = await find()
    assert [(one.topic, one.committed) for one in again] == [
        ("mail.received", False),
        ("mail.received", True),
    ], "redriven, and not in the ledger yet"


async def place_of(broker, publisher, mail_id):
    await publisher.publish(received(mail_id))
    return await find_in_flight(broker.bootstrap, mail_id, mine())


@pytest.mark.kafka
async def test_a_parked_mail_counts_as_unconsumed_until_redriven(broker, publisher):
    mail_id, config = new_id(), mine()
    await park(publisher, parked(received(mail_id), "mail.received", "validate"))
    letter = parked(deliver(mail_id, "u1"), "mailbox.commands", "mailbox")
    await park(publisher, letter)
    found = await find_in_flight(broker.bootstrap, mail_id, config)
    assert {one.topic for one in found} == {DEAD_LETTERS}
    assert {one.stage for one in found} == {"validate", "mailbox"}
    assert {one.cause for one in found} == {"RuntimeError: odd"}
    assert all(one.event and one.event.mail_id == mail_id for one in found)
    (of_mailbox,) = [one for one in found if one.stage == "mailbox"]

    await redrive(broker.bootstrap, [f"{of_mailbox.partition}-{of_mailbox.offset}"])
    again = await find_in_flight(broker.bootstrap, mail_id, config)
    assert [(one.topic, one.stage, one.committed) for one in again] == [
        (DEAD_LETTERS, "validate", False),
        ("mailbox.commands", "mailbox", False),
        (DEAD_LETTERS, "mailbox", True),
    ]


@pytest.mark.kafka
async def test_an_undecodable_record_is_found_by_its_bytes_or_key(broker, publisher):
    mail_id = new_id()
    await publisher.publish_raw("mail.scanned", mail_id.encode(), b"not an event", [])
    await publisher.publish_raw("mail.received", b"k", b"\x00" + mail_id.encode(), [])
    found = await find_in_flight(broker.bootstrap, mail_id, mine())
    assert [(one.topic, one.event) for one in found] == [
        ("mail.scanned", None),
        ("mail.received", None),
    ]


@pytest.mark.kafka
async def test_the_search_begins_at_the_time_in_the_id(broker, publisher):
    later, timeless = id_of_time(now_ms() + 600_000), str(uuid.uuid4())
    await publisher.publish(received(later), received(timeless))
    assert await find_in_flight(broker.bootstrap, later, mine()) == []
    assert len(await find_in_flight(broker.bootstrap, later, mine(margin_ms=900_000))) == 1
    assert len(await find_in_flight(broker.bootstrap, timeless, mine())) == 1


@pytest.mark.kafka
async def test_a_search_that_reaches_a_limit_logs_a_warning(broker, publisher, caplog):
    mail_id = new_id()
    await publisher.publish(*(received(new_id()) for _ in range(20)))
    await publisher.publish(received(mail_id))
    await find_in_flight(broker.bootstrap, mail_id, mine(limit_records=3))
    assert "limit of 3 records" in caplog.text
    await find_in_flight(broker.bootstrap, mail_id, mine(limit_s=0.0))
    assert "limit of 0 s" in caplog.text


async def test_a_malformed_id_and_an_absent_broker_raise():
    with pytest.raises(Refused):
        await find_in_flight(Bootstrap("127.0.0.1:1"), "alice@example.org")
    with pytest.raises(BrokerUnavailable):
        await find_in_flight(Bootstrap("127.0.0.1:1"), new_id())
