"""Content of submissions: what is refused, added and removed, and the senders of a header."""

import email
import email.policy
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.address_list_parser import parse_address_list
from mail.sending.mailbox_syntax import mailboxes
from mail.sending.sendable_content import NotSendable
from mail.sending.submitted_content import AddedFields, submitted_content

ADDED = AddedFields(
    mail_id="m1", hostname="mx.example", protocol="ESMTPSA", domain="a.example", at_ms=1_000
)
FROM = b"From: a@a.example\r\n"
FIELDS = st.sampled_from([
    b"Bcc: x@hidden.example\r\n", b"bcc:\r\n y@hidden.example\r\n",
    b"BCC:z@hidden.example,\r\n\tw@hidden.example\r\n", b"Resent-Bcc: v@hidden.example\r\n",
    b"To: b@b.example\r\n",
    b"Cc: c@c.example\r\n", b"X-Bcc-Note: none\r\n", b"Subject: Bcc: to you\r\n", b"X: \r\n \r\n",
    b"Return-Path: <r@r.example>\r\n", b"Bcc : u@hidden.example\r\n", b"Received: z\r\n",
    b"Content-Type: text/plain\r\n", b" Bcc: t@hidden.example\r\n",
])  # fmt: skip
BODY = b"Bcc: body@kept.example\r\n\r\ntext\r\n"


@given(st.lists(FIELDS, max_size=8))
def test_no_hidden_recipient_is_in_what_recipients_get(fields: list[bytes]) -> None:
    try:
        made = submitted_content(FROM + b"".join(fields) + b"\r\n" + BODY, ADDED)
    except NotSendable:
        return
    parsed = email.message_from_bytes(made.octets, policy=email.policy.compat32)
    assert parsed["Bcc"] is parsed["Resent-Bcc"] is parsed["Return-Path"] is None
    assert b"@hidden.example" not in made.octets.replace(b" Bcc: t@hidden.example", b"")
    assert made.octets.endswith(b"\r\n\r\n" + BODY)
    named = {"bcc", "resent-bcc"} & {
        name.lower()
        for name, _ in email.message_from_bytes(FROM + b"".join(fields) + b"\r\n").items()
    }
    assert (made.sent_copy is not None) == bool(named)
    assert parsed.get_all("Date") is not None
    assert len(parsed.get_all("Date", [])) == len(parsed.get_all("Message-ID", [])) == 1


@given(st.binary(max_size=200))
def test_any_octets_are_sendable_or_refused(octets: bytes) -> None:
    for content in (octets, FROM + octets, FROM + b"\r\n" + octets):
        try:
            made = submitted_content(content, ADDED)
        except NotSendable:
            continue
        assert made.octets.count(b"\n") == made.octets.count(b"\r\n") == made.octets.count(b"\r")
        assert max(map(len, made.octets.split(b"\r\n"))) <= 998
        assert b"\0" not in made.octets
        assert submitted_content(content, ADDED) == made  # the same mail, the same octets


PIECES = st.lists(
    st.sampled_from([
        "a@a.example", "b@b.example", "<", ">", '"', "\\", "(", ")", ",", ";", ":", " ", "@", "é",
        "=?utf-8?q?x?=", "[1.2.3.4]", "name", ".", "\t", "<a@a.example>", '"x y"', "\u2028",
    ]),
    max_size=9,
)  # fmt: skip


@given(PIECES)
def test_whom_a_reader_shows_is_among_those_who_are_checked(pieces: list[str]) -> None:
    """A tolerant reader finds no address that the strict parser does not return."""
    value = "".join(pieces).encode()
    try:
        strict = mailboxes("From", value)
    except NotSendable:
        return
    shown = {each.address.lower() for each in parse_address_list([value])}
    assert shown <= {address.lower() for address in strict}
    if value.isascii():  # the library's other parsers raise errors of their own
        by_library = {address for _, address in getaddresses([value.decode()])}
        assert by_library - {""} <= {*strict, *shown}


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        ("a@a.example", ["a@a.example"]),
        ("a@a.example (Ann (not really))", None),
        ("a@a.example (Ann)", ["a@a.example"]),
        (" (Ann) a@a.example ", ["a@a.example"]),
        ("Ann (x) B <a@a.example> (y)", ["a@a.example"]),
        ("<(x)a@a.example>", None), ("a (x)@a.example", None), ("< a@a.example>", None),
        ('"Doe, Ann" <a@a.example>, B. C. <"b c"@b.example>', ["a@a.example", '"b c"@b.example']),
        ("안 <안@예.example>", ["안@예.example"]),
        ("<a@[192.0.2.1]>", ["a@[192.0.2.1]"]),
        ("", None), (",", None), ("a@a.example b@b.example", None), ("<a@a.example", None),
        ("a@a.example>", None), ("x: a@a.example;", None), ("<@r.example:a@a.example>", None),
        ('"a@a.example', None), ("a@b@c", None), ("<a@a.example> b", None),
        ("a@a.example.", None), ("a.@a.example", None), ("a..b@a.example", None),
        (".", None), ("<>", None),
    ],
)  # fmt: skip
def test_lists_of_mailboxes(value: str, addresses: list[str] | None) -> None:
    if addresses is None:
        with pytest.raises(NotSendable):
            mailboxes("From", value.encode())
    else:
        assert mailboxes("From", value.encode()) == addresses
