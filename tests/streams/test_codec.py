import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.errors import Undecodable
from schemas.content import Inline
from schemas.events import CommandAnswered, Event, MailReceived
from schemas.mail import Envelope
from streams.codec import decode, encode
from streams.topology import TOPICS

MAIL = MailReceived(
    mail_id="m",
    envelope=Envelope(reverse_path="", recipients=()),
    content=Inline(b"\x00\xff"),
    trace_size_bytes=0,
    received_at_ms=1,
)


def test_an_event_survives() -> None:
    assert decode("mail.received", 0, encode(MAIL)) == MAIL


def test_another_topics_event_is_undecodable() -> None:
    with pytest.raises(Undecodable, match=r"mail\.validated@7"):
        decode("mail.validated", 7, encode(MAIL))


def test_no_bytes_are_undecodable() -> None:
    with pytest.raises(Undecodable):
        decode("mail.received", 0, None)


def test_an_unknown_field_of_a_newer_writer_is_passed_over() -> None:
    newer = {"type": "mailbox.answered.v1", "user_id": "u", "domain_id": "d", "command_id": "c"}
    raw = msgspec.msgpack.encode({**newer, "outcome": "unchanged", "new": 1})
    assert decode("mailbox.events", 0, raw) == CommandAnswered(
        user_id="u", domain_id="d", command_id="c", outcome="unchanged"
    )


def test_every_event_has_one_topic() -> None:
    carried = [kind for topic in TOPICS for kind in topic.carries]
    assert sorted(map(repr, carried)) == sorted(map(repr, Event.__args__))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_undecodable(raw: bytes) -> None:
    try:
        event = decode("mail.received", 0, raw)
    except Undecodable:
        return
    assert isinstance(event, MailReceived)
