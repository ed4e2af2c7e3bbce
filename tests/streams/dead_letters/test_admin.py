import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from mail.errors import BrokerUnavailable, NotFound
from mail.ids import new_id
from operations.dead_letters import discard, list_newest, list_waiting, redrive, show
from schemas.dead_letters import DeadLetter
from schemas.events.mailbox_commands import EmptyFolder
from streams.codec import encode
from streams.config import Bootstrap, PublisherConfig
from streams.dead_letters.admin import DeadLetterAdmin
from streams.dead_letters.headers import letter_headers
from streams.dead_letters.parking import park
from streams.dead_letters.records import DeadLetterFilter, kind_of
from streams.log_client import LogClient
from streams.publisher import KafkaPublisher
from tests.support.agent_builders import deliver, order
from tests.support.event_builders import received
from tests.support.log import fresh, make

pytestmark = pytest.mark.kafka
ORIGIN = "mail.received"
COMMANDS = "mailbox.commands"


@pytest.fixture
async def publisher(broker):
    made = KafkaPublisher(PublisherConfig(bootstrap=broker.bootstrap, linger_ms=0))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def box(admin) -> str:
    """Create a topic of dead letters for one test, and the topic of origin."""
    name = fresh("dead")
    await make(admin, name)
    await make(admin, ORIGIN)
    return name


def a_letter(at_ms: int = 1, **changes) -> DeadLetter:
    mail_id = new_id()
    plain = {
        "topic": ORIGIN,
        "partition": 2,
        "offset": 17,
        "stage": "validate",
        "cause": "Überraschung: \ud800 and a NUL \0",
        "attempt": 5,
        "at_ms": at_ms,
        "key": mail_id.encode(),
        "value": encode(received(mail_id)),
    }
    return DeadLetter(**(plain | changes))


async def origin_ends(broker) -> dict[TopicPartition, int]:
    async with AIOKafkaConsumer(**broker.bootstrap.options) as consumer:
        return await consumer.end_offsets([TopicPartition(ORIGIN, each) for each in range(3)])


async def arrived(broker, before: dict[TopicPartition, int]) -> list[tuple[bytes, bytes]]:
    """Return keys and values of records of the topic of origin since `before`."""
    async with LogClient(broker.bootstrap) as log:
        spans = {part: (before[part], end) for part, end in (await origin_ends(broker)).items()}
        return [(record.key, record.value) async for record in log.read(spans)]


async def outcomes(broker, box: str, ids, **how) -> dict[str, str]:
    done = await redrive(broker.bootstrap, ids, topic=box, **how)
    assert len({one.id for one in done}) == len(done)
    return {one.id: one.outcome for one in done}


async def test_dead_letters_are_listed_newest_first_and_shown_as_they_were_parked(
    broker, box, publisher
):
    assert await list_newest(broker.bootstrap, 10, topic=box) == []
    letters = [a_letter(at_ms) for at_ms in range(1, 31)]
    for letter in letters:
        await park(publisher, letter, topic=box)
    listed = await list_newest(broker.bootstrap, 4, topic=box)
    assert [one.letter.at_ms for one in listed] == [30, 29, 28, 27]
    shown = await show(broker.bootstrap, listed[0].id, topic=box)
    assert shown == listed[0]
    assert shown.redriven_at_ms is None
    assert shown.letter.value == letters[-1].value
    assert shown.letter.key == letters[-1].key
    assert (shown.letter.topic, shown.letter.partition, shown.letter.offset) == (ORIGIN, 2, 17)
    assert (shown.letter.stage, shown.letter.attempt) == ("validate", 5)
    assert "Überraschung" in shown.letter.cause
    assert len(await list_newest(broker.bootstrap, 500, topic=box)) == 30


async def test_a_listing_reads_on_past_marks_and_dead_letters_of_other_partitions(
    broker, box, publisher
):
    letters = [a_letter(at_ms, key=b"one partition") for at_ms in range(1, 4)]
    for letter in letters:
        await park(publisher, letter, topic=box)
    for _ in range(4):  # more marks after the dead letters than the first read reaches back
        await redrive(broker.bootstrap, None, force=True, topic=box)
    listed = await list_newest(broker.bootstrap, 1, topic=box)
    assert [one.letter.at_ms for one in listed] == [3]
    assert listed[0].redriven_at_ms


async def test_a_dead_letter_is_redriven_once_with_its_bytes_and_key(broker, box, publisher):
    letter, other = a_letter(), a_letter()
    await park(publisher, letter, topic=box)
    await park(publisher, other, topic=box)
    before = await origin_ends(broker)
    ids = {one.letter.key: one.id for one in await list_newest(broker.bootstrap, 9, topic=box)}
    one = ids[letter.key]

    assert await outcomes(broker, box, [one], dry_run=True) == {one: "would_redrive"}
    assert await arrived(broker, before) == []
    assert await outcomes(broker, box, [one]) == {one: "redriven"}
    assert await arrived(broker, before) == [(letter.key, letter.value)]
    assert (await show(broker.bootstrap, one, topic=box)).redriven_at_ms

    assert await outcomes(broker, box, [one]) == {one: "already"}
    assert await outcomes(broker, box, None) == {ids[other.key]: "redriven"}
    assert await outcomes(broker, box, None) == {}
    assert len(await arrived(broker, before)) == 2
    assert await outcomes(broker, box, [one], force=True) == {one: "redriven"}
    assert len(await arrived(broker, before)) == 3
    assert len(await list_newest(broker.bootstrap, 9, topic=box)) == 2, "marks are no letters"


async def test_an_owners_command_is_redriven_by_its_id_alone(broker, box, admin, publisher):
    """An owner's later commands may have been carried out; a delivery depends on no command."""
    await make(admin, COMMANDS)
    values = [encode(deliver()), encode(order(EmptyFolder, "c", folder_id="trash")), b"\xff"]
    for at_ms, value in enumerate(values, start=1):
        letter = a_letter(at_ms, topic=COMMANDS, key=b"bob", value=value)
        await park(publisher, letter, topic=box)
    delivery, command, other = (
        one.id for one in reversed(await list_newest(broker.bootstrap, 9, topic=box))
    )
    left = {command: "by_id_only", other: "by_id_only"}
    assert await outcomes(broker, box, None, dry_run=True) == {delivery: "would_redrive"} | left
    assert await outcomes(broker, box, None) == {delivery: "redriven"} | left
    assert await outcomes(broker, box, None, conditions=DeadLetterFilter(stage="validate")) == left
    assert await outcomes(broker, box, [command]) == {command: "redriven"}
    assert await outcomes(broker, box, None) == {other: "by_id_only"}


async def test_a_mark_is_in_the_partition_of_its_dead_letter(broker, box, publisher):
    letter = a_letter()
    for partition in range(3):
        headers = letter_headers(letter)
        await publisher.publish_raw(box, letter.key, letter.value, headers, partition=partition)
    assert sorted((await outcomes(broker, box, None)).values()) == ["redriven"] * 3
    for one in await list_newest(broker.bootstrap, 9, topic=box):
        assert one.redriven_at_ms
        assert (await show(broker.bootstrap, one.id, topic=box)).redriven_at_ms


async def test_a_dead_letter_that_cannot_be_redriven_is_reported(broker, box, publisher):
    await park(publisher, a_letter(at_ms=1, topic="no.such.topic"), topic=box)
    await park(publisher, a_letter(at_ms=2, topic=box), topic=box)
    await publisher.publish_raw(box, b"k", b"a stranger's record", [])
    before = await origin_ends(broker)
    found = await outcomes(broker, box, None)
    assert list(found.values()) == ["unreadable"] * 3
    missing = ["0-99999", "77-0"]
    assert await outcomes(broker, box, missing) == dict.fromkeys(missing, "not_found")
    assert await arrived(broker, before) == []
    for id_ in (*missing, "0", "", "-1-1", "0-x", "0-00", "1-" + "9" * 40):
        with pytest.raises(NotFound):
            await show(broker.bootstrap, id_, topic=box)


class FailingMarks:
    """A publisher that loses every mark, as if the process were killed before it."""

    def __init__(self, publisher: KafkaPublisher, box: str) -> None:
        self._publisher, self._box = publisher, box

    async def publish_raw(self, topic, key, value, headers, *, partition=None) -> None:
        if topic == self._box:
            raise BrokerUnavailable("killed")
        await self._publisher.publish_raw(topic, key, value, headers, partition=partition)


async def test_an_interrupted_redrive_is_repeated(broker, box, publisher):
    letter = a_letter()
    await park(publisher, letter, topic=box)
    before = await origin_ends(broker)
    async with LogClient(broker.bootstrap) as log:
        cut = FailingMarks(publisher, box)
        with pytest.raises(BrokerUnavailable):
            await DeadLetterAdmin(log, topic=box).redrive(None, publisher=cut, force=False)
    (done,) = (await outcomes(broker, box, None)).values()
    assert done == "redriven"
    assert await arrived(broker, before) == [(letter.key, letter.value)] * 2


async def test_an_absent_broker_is_reported_in_time():
    with pytest.raises(BrokerUnavailable):
        await list_newest(Bootstrap("127.0.0.1:1"), 9)


async def test_dead_letters_are_selected_by_cause_stage_and_time(broker, box, publisher):
    for at_ms, stage in ((1_000, "scan"), (2_000, "scan"), (3_000, "route"), (4_000, "scan")):
        cause = "ContentMissing: content 7" if at_ms == 2_000 else "RuntimeError: odd"
        await park(publisher, a_letter(at_ms, stage=stage, cause=cause), topic=box)

    async def chosen(**wanted) -> list[int]:
        found = await list_newest(
            broker.bootstrap, 1, conditions=DeadLetterFilter(**wanted), topic=box
        )
        whole = await list_waiting(
            broker.bootstrap, conditions=DeadLetterFilter(**wanted), topic=box
        )
        assert all(not one.letter.value for one in whole)
        times = sorted((one.letter.at_ms for one in whole), reverse=True)
        assert [one.letter.at_ms for one in found] == times[:1]
        return times

    assert await chosen() == [4_000, 3_000, 2_000, 1_000]
    assert await chosen(cause="contentmissing") == [2_000]
    assert await chosen(stage="scan", since_ms=2_000) == [4_000, 2_000]
    assert await chosen(stage="index") == []
    done = await outcomes(broker, box, None, conditions=DeadLetterFilter(cause="odd", stage="scan"))
    assert sorted(done.values()) == ["redriven"] * 2
    left = await list_waiting(broker.bootstrap, topic=box)
    assert {one.letter.at_ms for one in left} == {2_000, 3_000}


async def test_a_discarded_dead_letter_waits_no_longer_and_says_why(broker, box, publisher):
    await park(publisher, a_letter(), topic=box)
    await park(publisher, a_letter(), topic=box)
    one, other = [each.id for each in await list_newest(broker.bootstrap, 9, topic=box)]
    before = await origin_ends(broker)

    async def thrown(*ids: str) -> list[str]:
        done = await discard(broker.bootstrap, ids, "a test of Überfluss", topic=box)
        return [each.outcome for each in done]

    assert await thrown(one, "0-99999") == ["discarded", "not_found"]
    assert await thrown(one) == ["already"]
    shown = await show(broker.bootstrap, one, topic=box)
    assert shown.discarded_at_ms
    assert shown.reason == "a test of Überfluss"
    assert [each.id for each in await list_waiting(broker.bootstrap, topic=box)] == [other]
    assert await outcomes(broker, box, None) == {other: "redriven"}
    assert await outcomes(broker, box, [one]) == {one: "already"}
    assert len(await arrived(broker, before)) == 1
    assert await outcomes(broker, box, [one], force=True) == {one: "redriven"}
    shown = await show(broker.bootstrap, one, topic=box)
    assert (shown.discarded_at_ms, shown.reason) == (None, "")


def test_causes_are_counted_without_ids_and_numbers():
    mail_id = new_id()
    assert kind_of(f"ContentMissing: content {mail_id}\n is 17 bytes") == (
        "ContentMissing: content … is … bytes"
    )
