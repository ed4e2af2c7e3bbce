import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.errors import Undecodable
from schemas.content import Inline
from schemas.events.legacy import ChangeKeywords, DeleteMessages, MailboxChangedV1
from schemas.events.mail import MailReceived
from schemas.events.mailbox_commands import ChangeMessages, TrashMessages
from schemas.events.mailbox_events import CommandAnswered, MailboxChanged, Position
from schemas.events.unions import Event
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


def test_what_the_last_version_wrote_reads_as_this_one_writes() -> None:
    order = ChangeKeywords(
        command_id="c", user_id="u", domain_id="d", message_id="m", add=("$seen",), remove=(),
        at_ms=1,
    )  # fmt: skip
    read = decode("mailbox.commands", 0, msgspec.msgpack.encode(order))
    assert isinstance(read, ChangeMessages)
    assert (read.message_ids, read.add_keywords, read.command_id) == (("m",), ("$seen",), "c")
    removal = DeleteMessages(
        command_id="c", user_id="u", domain_id="d", message_ids=("m",), if_changed_seq=2, at_ms=1
    )
    assert decode("mailbox.commands", 0, msgspec.msgpack.encode(removal)) == TrashMessages(
        command_id="c",
        user_id="u",
        domain_id="d",
        message_ids=("m",),
        unchanged_since_seq=2,
        at_ms=1,
    )
    told = MailboxChangedV1(
        user_id="u", domain_id="d", seq=3, command_id="c", position=Position("e", 0, 1),
        change="updated", message_id="m", places={"inbox": 1}, keywords=("$seen",), folders=(),
        at_ms=1,
    )  # fmt: skip
    step = decode("mailbox.events", 0, msgspec.msgpack.encode(told))
    assert isinstance(step, MailboxChanged)
    (change,) = step.changes
    assert (step.seq, step.answers, change.message_id, change.places) == (3, "c", "m", {"inbox": 1})


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
