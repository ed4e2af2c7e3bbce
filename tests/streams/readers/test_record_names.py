"""Which mail and user a record of each topic names, and what marks do to dead letters."""

from types import SimpleNamespace
from typing import Any

from schemas.content import Inline, Stored
from schemas.dead_letters import DeadLetter
from schemas.events.sending import MailRelay, Submit
from schemas.ledger import DISCARDED, PARKED, REDRIVEN, DeadLetterState
from schemas.submissions import SubmittedMail
from streams.codec import encode
from streams.dead_letters.headers import letter_headers, mark_headers
from streams.readers.in_flight_search import _SEARCHED, _apply, _names, received_places
from streams.topics.epochs import ensure_epoch
from streams.topology import DEAD_LETTERS, RECEIVED, RELAY, SUBMISSIONS, TOPICS
from tests.streams.conftest import MemorySettings
from tests.support.event_builders import deliver

STORED = Stored("r", 5, "0" * 64)


def record(value: bytes, key: bytes | None = b"key", headers: Any = ()) -> Any:
    return SimpleNamespace(
        key=key, value=value, headers=headers, partition=1, offset=0, timestamp=7
    )


def names(topic: str, one: Any) -> list[tuple[str, str]]:
    return [pair for pair in _names(topic, one) if pair[0]]


def test_a_topic_of_mails_is_named_by_its_key_and_is_not_decoded() -> None:
    for topic in (RECEIVED, "mail.validated", "mail.scanned", "mail.submitted", "mail.rejected"):
        assert names(topic, record(b"no event", b"m1")) == [("m1", "")]
        assert names(topic, record(b"no event", None)) == []


def test_a_submission_names_the_mail_and_the_copy_for_sent() -> None:
    mail = SubmittedMail(
        mail_id="m1", reverse_path="a@x.test", recipients=(), content=Inline(b"x"),
        sent_copy=Inline(b"y"), sent_mail_id="m2",
    )  # fmt: skip
    event = Submit(command_id="c", user_id="ann", domain_id="d", mail=mail, at_ms=1)
    assert names(SUBMISSIONS, record(encode(event), b"ann")) == [("m1", ""), ("m2", "")]


def test_a_mail_on_its_way_to_another_server_waits_for_each_of_its_recipients() -> None:
    event = MailRelay(
        mail_id="m1", submission_id="s1", user_id="ann", domain_id="d", destination="x.test",
        reverse_path="a@x.test", recipients=(), content=STORED, received_at_ms=1, queued_at_ms=1,
    )  # fmt: skip
    assert names(RELAY, record(encode(event), b"x.test")) == [("m1", "")]


def test_a_delivery_waits_for_its_user_and_a_dead_letter_for_the_user_of_its_event() -> None:
    event = deliver("m1", "ann")
    assert names("mailbox.commands", record(encode(event), b"ann")) == [("m1", "ann")]
    letter = DeadLetter(
        topic="mailbox.commands", partition=1, offset=3, stage="mailbox", cause="odd", attempt=1,
        at_ms=5, key=b"ann", value=encode(event),
    )  # fmt: skip
    parked = record(letter.value, b"ann", letter_headers(letter))
    assert names(DEAD_LETTERS, parked) == [("m1", "ann")]
    assert names(DEAD_LETTERS, record(b"of no mail")) == []
    mark = record(b"", b"ann", mark_headers("1-0", 9))
    assert names(DEAD_LETTERS, mark) == []


def test_every_topic_with_an_only_copy_is_searched_in_the_order_of_a_mail() -> None:
    assert {topic.name for topic in TOPICS if topic.only_copy} == set(_SEARCHED)
    order = (RECEIVED, "mail.validated", "mail.scanned", "mailbox.commands", DEAD_LETTERS)
    assert [topic for topic in _SEARCHED if topic in order] == list(order)


def test_a_mark_changes_its_dead_letter_and_makes_none() -> None:
    def state(letter_id: str, state: str, mail_id: str = "", at_ms: int = 1) -> DeadLetterState:
        return DeadLetterState(
            letter_id=letter_id, state=state, at_ms=at_ms, mail_id=mail_id,
            user_id="ann" if mail_id else "", ref="r" if mail_id else "",
        )  # fmt: skip

    states: dict[str, DeadLetterState] = {}
    for change in (
        None,
        state("1-0", PARKED, "m1"),
        state("1-7", REDRIVEN),  # of a dead letter before the search
        state("1-0", REDRIVEN, at_ms=2),
        state("1-0", DISCARDED, at_ms=3),
        state("1-1", PARKED, "m2"),
    ):
        _apply(states, change)
    assert states == {
        "1-0": DeadLetterState(
            letter_id="1-0", state=DISCARDED, at_ms=3, mail_id="m1", user_id="ann", ref="r"
        ),
        "1-1": state("1-1", PARKED, "m2"),
    }


async def test_places_are_of_the_present_epoch_and_before_the_first_there_are_none() -> None:
    async def read(_mail_ids: Any) -> Any:
        return {}

    settings = MemorySettings()
    assert await received_places(read, settings) is None

    async def topic_id() -> str:
        return "t"

    epoch = await ensure_epoch(settings, RECEIVED, topic_id)
    found = await received_places(read, settings)
    assert found is not None
    assert (found.read, found.epoch) == (read, epoch)
